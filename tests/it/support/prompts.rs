//! What the program asks a person at a terminal, by the words that a test waits for: one place for all of them, for a prompt
//! has no code.

/// Any prompt that waits for a line.
pub const ENTER: &str = "press Enter:";
/// The PIN that X shows.
pub const PIN: &str = "paste the PIN";
/// No browser can come back, so a PIN will be shown.
pub const PIN_INSTEAD: &str = "a PIN will be shown there instead";
/// The code that a Mastodon server shows.
pub const CODE: &str = "paste the code";
/// The same for that code.
pub const CODE_INSTEAD: &str = "a code will be shown there instead";
/// The address at which the browser ends.
pub const ADDRESS: &str = "paste the address";
/// No browser can come back, so the address of a page that can't be loaded is to be pasted.
pub const ADDRESS_INSTEAD: &str = "a page that can't be loaded";
/// What was typed is no answer, and is asked for once more.
pub const AGAIN: &str = "that is not it";
/// The network does not accept what was typed, and it is asked for once more.
pub const REJECTED: &str = "does not accept the code";
/// Something is asked for once more.
pub const ONCE_MORE: &str = "type it again";
/// Nothing more can be typed, so only a browser can bring the answer.
pub const INPUT_ENDED: &str = "the input has ended";
/// What is typed next is not shown.
pub const HIDDEN: &str = "not shown";
/// Tokens end with an empty line.
pub const EMPTY_LINE_ENDS: &str = "an empty line ends them";
/// An app password.
pub const APP_PASSWORD: &str = "App passwords):";
/// What was typed looks like the password of the account itself.
pub const MAIN_PASSWORD: &str = "use it anyway:";
/// Ctrl-C was pressed.
pub const STOPPED: &str = "error: stopped: nothing was stored";
/// The address that a browser is to open.
pub const OPEN: &str = "open this address";
