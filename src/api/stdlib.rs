//! The modules inside the binary: `import "stdlib/network" as network;`.

use crate::script::Stdlib;

/// The files of the folder `stdlib/`, by the name they are imported with.
pub const MODULES: Stdlib = &[
    ("bluegreen", include_str!("../../stdlib/bluegreen.rhai")),
    ("containers", include_str!("../../stdlib/containers.rhai")),
    ("network", include_str!("../../stdlib/network.rhai")),
    ("quotas", include_str!("../../stdlib/quotas.rhai")),
    ("service", include_str!("../../stdlib/service.rhai")),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::MODULES;

    #[test]
    fn every_file_of_the_folder_is_a_module() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
        let files: BTreeSet<_> = fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "rhai"))
            .filter_map(|path| path.file_stem()?.to_str().map(str::to_owned))
            .collect();
        let modules: BTreeSet<_> = MODULES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(modules, files);
    }
}
