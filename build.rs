//! Has the program built anew when a migration is added: the macro that builds them in can't see that by itself.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
