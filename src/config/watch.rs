//! Which files are watched for changes, and how a change is noticed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Config;

/// The files whose change means a reload: the config file, the certificate and its key.
#[must_use]
pub fn watched_files(config: &Config) -> Vec<PathBuf> {
    let mut files = vec![config.file.clone()];
    if let Some(tls) = &config.server.tls {
        files.extend([tls.certificate.clone(), tls.key.clone()]);
    }
    files
}

/// What some files look like at one moment; two that differ mean that one of the files has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<Option<Look>>);

/// The canonical path is part of it because a mounted `ConfigMap` changes by a symbolic link further up, while the
/// new file may have the size and even the age of the old one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    canonical: PathBuf,
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    /// Looks at `files` now. A file that is away looks like nothing.
    #[must_use]
    pub fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|file| look(file)).collect())
    }
}

fn look(file: &Path) -> Option<Look> {
    let canonical = file.canonicalize().ok()?;
    let metadata = canonical.metadata().ok()?;
    Some(Look {
        canonical,
        modified: metadata.modified().ok(),
        length: metadata.len(),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_config_map_that_changes_by_a_symbolic_link_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["one", "two"] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("tollgate.yaml"), "a: 1\n").unwrap();
        }
        symlink(at("one"), at("data")).unwrap();
        symlink("data/tollgate.yaml", at("tollgate.yaml")).unwrap();
        let files = [at("tollgate.yaml")];
        let before = Stamp::of(&files);
        assert_eq!(before, Stamp::of(&files));
        symlink(at("two"), at("data.new")).unwrap();
        std::fs::rename(at("data.new"), at("data")).unwrap();
        assert_ne!(before, Stamp::of(&files));
    }

    #[test]
    fn a_changed_or_missing_file_is_noticed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = [file.path().to_path_buf()];
        let before = Stamp::of(&files);
        std::fs::write(file.path(), "more").unwrap();
        let after = Stamp::of(&files);
        assert_ne!(before, after);
        drop(file);
        assert_ne!(after, Stamp::of(&files));
    }
}
