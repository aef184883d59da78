//! The notifier: a Unix datagram socket beside the ledger. A process that has submitted a command sends a datagram, and
//! the daemon looks. The datagram says nothing: the command is in the ledger.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

use super::paths::sidecar;

/// The owner's socket.
#[derive(Debug)]
pub(super) struct Notifier {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Notifier {
    /// Binds the socket. The owner may remove what a previous owner has left.
    pub(super) fn bind(ledger: &Path) -> io::Result<Self> {
        let path = sidecar(ledger, "bell");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = short(&path, |short| UnixDatagram::bind(short))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { socket, path })
    }

    /// Waits for a notification. Several that came meanwhile count as one.
    pub(super) async fn notified(&self) {
        let mut nothing = [0; 1];
        if self.socket.recv(&mut nothing).await.is_err() {
            // A broken socket must not become a busy loop; the sender looks at commands without it too, only later.
            std::future::pending::<()>().await;
        }
        while self.socket.try_recv(&mut nothing).is_ok() {}
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        // A socket left behind is removed by the next owner.
        let _ = fs::remove_file(&self.path);
    }
}

/// Notifies the owner.
pub(super) fn notify(ledger: &Path) -> io::Result<()> {
    let socket = net::UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match short(&sidecar(ledger, "bell"), |short| socket.send_to(b"!", short)) {
        // The socket's queue is full: the owner is busy, and will look when it is not.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        sent => sent.map(|_| ()),
    }
}

/// Calls with a short name for `path`: a socket's path must fit in 108 bytes (unix(7)), a ledger's need not.
fn short<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = File::open(folder)?;
    call(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}
