//! The names of pictures in poems: which file names mean a picture, and which may be used. Whether the file is there is
//! not known here.

/// File name extensions of pictures that can be posted.
const TAKEN: &[&str] = &["jpg", "jpeg", "png", "gif", "webp"];

/// File name extensions of pictures and films that no network takes from flockd.
const NOT_TAKEN: &[&str] =
    &["heic", "heif", "avif", "jxl", "svg", "tif", "tiff", "bmp", "mp4", "m4v", "mov", "webm", "avi", "mkv"];

/// Whether a file with this name is a picture that can be posted, by its extension.
pub fn is_picture(name: &str) -> bool {
    has_extension(name, TAKEN)
}

/// Whether a name or URL means a picture or a film, whether or not it can be posted.
pub fn resembles_picture(name: &str) -> bool {
    let path = match name.contains("://") {
        true => name.split(['?', '#']).next().unwrap_or_default(),
        false => name,
    };
    has_extension(path, TAKEN) || has_extension(path, NOT_TAKEN)
}

fn has_extension(name: &str, extensions: &[&str]) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    !stem.is_empty() && extensions.iter().any(|one| extension.eq_ignore_ascii_case(one))
}

/// The name as a [`Medium`](super::content::Medium) has it: relative to the poem's folder.
///
/// # Errors
///
/// If it is elsewhere, or no picture that can be posted: what to do.
pub fn checked(name: &str) -> Result<String, String> {
    let refuse = |why: &str| Err(format!("{name:?} {why}"));
    let mut bytes = name.bytes();
    let has_drive =
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic()) && bytes.next() == Some(b':');
    if name.contains("://") {
        return refuse("is a URL: put the picture into the poem's folder, and write its file name");
    }
    if name.starts_with('/') || has_drive || name.split('/').any(|folder| folder == "..") {
        return refuse("is outside the poem's folder: put the picture there or below");
    }
    if name.contains('\\') {
        return refuse("has a backslash: write / between folders");
    }
    if has_extension(name, NOT_TAKEN) {
        return refuse("is of a type that can't be posted: save it as JPEG or PNG");
    }
    let folders: Vec<&str> = name.split('/').filter(|folder| !matches!(*folder, "" | ".")).collect();
    let name = folders.join("/");
    match is_picture(&name) && !name.ends_with('/') {
        true => Ok(name),
        false => refuse("is no picture by its name: it must end with .jpg, .png, .gif or .webp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_folder() {
        for (name, kept) in [
            ("owl.jpg", "owl.jpg"),
            ("./owls//Barn owl.JPEG", "owls/Barn owl.JPEG"),
            ("a..b.png", "a..b.png"),
            ("...png", "...png"),
        ] {
            assert_eq!(checked(name), Ok(kept.to_owned()));
        }
        for name in [
            "https://example.org/owl.jpg",
            "/srv/owl.jpg",
            "../owl.jpg",
            "owls/../../owl.jpg",
            "owls\\owl.jpg",
            "C:/owl.jpg",
            "c:owl.jpg",
            "owl.heic",
            "owl.SVG",
            "owl.mp4",
            "owl.txt",
            "owl",
            "",
            ".jpg",
            "owls/",
        ] {
            let refused = checked(name).unwrap_err();
            assert!(refused.contains(&format!("{name:?}")), "{refused}");
        }
    }

    #[test]
    fn only_names_of_pictures_resemble_pictures() {
        for name in ["owl.jpg", "owl.HEIC", "../owl.png", "https://example.org/owl.gif?size=2#top"] {
            assert!(resembles_picture(name), "{name}");
        }
        for name in ["owl", ".png", "https://example.org/owl", "owl.jpg?size=2", "https://example.org/?a=b.c"]
        {
            assert!(!resembles_picture(name), "{name}");
        }
    }
}
