//! The file that a signing secret is written to. It is opened before the secret is made: Stripe tells it once.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::types::Secret;

/// For its owner alone.
const MODE: u32 = 0o600;

/// An empty file, ready to be written to.
pub(super) struct SecretFile {
    path: PathBuf,
    file: File,
    /// It was not there before.
    is_new: bool,
}

impl SecretFile {
    /// Makes the file, or takes one that is there and empty.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or is there already with something in it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let new = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(path);
        let (file, is_new) = match new {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (empty(path)?, false),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            is_new,
        })
    }

    /// Writes the secret, without a line break at its end, which whoever reads it would take for a part of it. When this
    /// returns it is on the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(super) fn write(mut self, secret: &Secret) -> io::Result<()> {
        self.file.write_all(secret.expose().as_bytes())?;
        self.file.sync_all()?;
        // The name of a new file is in its folder.
        let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Takes a new file away again: there is no secret to write.
    pub(super) fn discard(self) {
        if self.is_new {
            // One that stays is empty, and is taken by the next run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn empty(path: &Path) -> io::Result<File> {
    // Before it is opened: a pipe would wait for a reader.
    let known = fs::metadata(path)?;
    if !known.is_file() || known.len() > 0 {
        let message = "it is there already, and not an empty file; nothing is overwritten";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (new, empty) = (folder.path().join("new"), folder.path().join("empty"));
        fs::write(&empty, "").unwrap();
        for path in [new, empty] {
            let file = SecretFile::open(&path).unwrap();
            file.write(&Secret::new("whsec_a".into())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "whsec_a");
            assert_eq!(mode(&path), 0o600);
            assert!(SecretFile::open(&path).is_err(), "nothing is overwritten");
        }
    }

    #[test]
    fn a_file_that_was_made_for_nothing_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let (new, empty) = (folder.path().join("new"), folder.path().join("empty"));
        fs::write(&empty, "").unwrap();
        SecretFile::open(&new).unwrap().discard();
        SecretFile::open(&empty).unwrap().discard();
        assert!(!new.exists() && empty.exists());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(SecretFile::open(folder.path()).is_err());
        assert!(SecretFile::open(&folder.path().join("none/x")).is_err());
        assert!(SecretFile::open(Path::new("/dev/null")).is_err());
    }
}
