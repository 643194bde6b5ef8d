//! The file that a signing secret is written to. It is opened before the secret is made: Stripe tells it once.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::types::Secret;

/// For its owner alone.
const MODE: u32 = 0o600;
/// More than a secret needs.
const MAX_SECRET: u64 = 1024;

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

/// What is looked at is what was opened, not what has this name a moment later.
fn empty(path: &Path) -> io::Result<File> {
    // A link may lead to what belongs to somebody else, and a pipe would wait for a reader.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(taken("it is a link, and is not followed"));
        }
        Err(error) => return Err(error),
    };
    let known = file.metadata()?;
    if !known.is_file() || known.len() > 0 {
        return Err(taken(
            "it is there already, and not an empty file; nothing is overwritten",
        ));
    }
    if known.uid() != geteuid().as_raw() {
        return Err(taken("it belongs to another user, who could read it"));
    }
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

fn taken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, why)
}

/// What is in a file that was named for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It is not there, or empty.
    Nothing,
    /// A signing secret.
    Secret,
    /// Something else, or what cannot be read.
    Other,
}

/// Looks into the file.
pub(super) fn content(path: &Path) -> Content {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Content::Nothing,
        Err(_) => return Content::Other,
    };
    let is_file = file.metadata().is_ok_and(|known| known.is_file());
    let mut text = String::new();
    let read = file.take(MAX_SECRET).read_to_string(&mut text);
    match text.trim() {
        _ if !is_file || read.is_err() => Content::Other,
        "" => Content::Nothing,
        text if text.starts_with("whsec_") => Content::Secret,
        _ => Content::Other,
    }
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

    #[test]
    fn a_link_is_not_followed_and_a_pipe_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let refused = SecretFile::open(&link).err().unwrap();
        assert!(refused.to_string().contains("a link"), "{refused}");
        assert!(target.exists());
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert!(SecretFile::open(&pipe).is_err());
        assert_eq!(content(&pipe), Content::Other);
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        fs::write(&theirs, "").unwrap();
        // Only root may give a file away.
        if std::os::unix::fs::chown(&theirs, Some(65534), None).is_ok() {
            let refused = SecretFile::open(&theirs).err().unwrap();
            assert!(refused.to_string().contains("another user"), "{refused}");
        }
    }

    #[test]
    fn a_file_is_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        assert_eq!(content(&file), Content::Nothing);
        for (text, expected) in [
            ("", Content::Nothing),
            (" \n", Content::Nothing),
            ("whsec_a\n", Content::Secret),
            ("mine", Content::Other),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(content(&file), expected, "{text:?}");
        }
        assert_eq!(content(folder.path()), Content::Other);
    }
}
