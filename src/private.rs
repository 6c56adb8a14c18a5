//! Files and folders that only their owner can read: they hold the state of accounts.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    path::Path,
};

/// The folder and those above it that are missing. Those that are there stay as they are: somebody chose that.
pub fn create_dir_all(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes a file that somebody else's code has made its owner's.
pub fn restrict(file: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Opens a file, with what these options say; a new one is its owner's.
pub fn open(options: &mut OpenOptions, file: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(file)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_new_is_its_owners() {
        let root = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let dir = root.path().join("a/b");
        create_dir_all(&dir).expect("folders");
        create_dir_all(&dir).expect("once more");
        let file = dir.join("file");
        open(OpenOptions::new().write(true).create(true), &file).expect("a file");
        let other = dir.join("other");
        std::fs::write(&other, "").expect("a file");
        restrict(&other).expect("it is ours");
        assert_eq!(mode(&other), 0o600);
        assert_eq!((mode(&root.path().join("a")), mode(&dir), mode(&file)), (0o700, 0o700, 0o600));
    }
}
