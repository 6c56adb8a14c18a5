//! What becomes of a container, which its image's tag says: the vocabulary of the `ami-…` images.
//!
//! Task definitions name images by digest, so a digest made here says it too: a mark, a digit for the conduct, two for an exit
//! code, and the digest of the tag's text. An image of a real account, or of another registry, is taken to be well.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the container of an image does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conduct {
    /// `healthy-…`, and every tag that is none of the others.
    Healthy,
    /// `slow-…`: takes some four minutes to start.
    Slow,
    /// `never-healthy…`: answers with errors.
    NeverHealthy,
    /// `crashing-…`: starts well, answers with errors after three minutes, and exits with 1 after four.
    Crashing,
    /// `flapping-…`: well for a minute, then not for a minute, for ever.
    Flapping,
    /// `exits-N…`: exits with N a few seconds after it began.
    Exits(u8),
}

/// Begins every digest made here; that a real one begins so is as likely as one in four thousand million.
const MARK: &str = "5100a3e7";

impl Conduct {
    /// What a tag says.
    pub fn of_tag(tag: &str) -> Conduct {
        const KINDS: [(&str, Conduct); 4] = [
            ("slow", Conduct::Slow),
            ("never-healthy", Conduct::NeverHealthy),
            ("crashing", Conduct::Crashing),
            ("flapping", Conduct::Flapping),
        ];
        if let Some(rest) = tag.strip_prefix("exits-") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if let Ok(code) = digits.parse() {
                return Conduct::Exits(code);
            }
        }
        KINDS.into_iter().find(|(kind, _)| tag.starts_with(kind)).map_or(Conduct::Healthy, |(_, conduct)| conduct)
    }

    /// What the reference to an image says: `repository:tag`, `repository@sha256:…`.
    pub fn of_image(image: &str) -> Conduct {
        match image.split_once('@') {
            Some((_, digest)) => of_digest(digest).unwrap_or(Conduct::Healthy),
            None => image
                .rsplit('/')
                .next()
                .and_then(|last| last.split_once(':'))
                .map_or(Conduct::Healthy, |(_, tag)| Conduct::of_tag(tag)),
        }
    }
}

/// The digest of the image that a tag names, if nobody has moved it.
pub fn digest_of(tag: &str) -> String {
    let (kind, code) = match Conduct::of_tag(tag) {
        Conduct::Healthy => (0, 0),
        Conduct::Slow => (1, 0),
        Conduct::NeverHealthy => (2, 0),
        Conduct::Crashing => (3, 0),
        Conduct::Flapping => (4, 0),
        Conduct::Exits(code) => (5, code),
    };
    let text: String = Sha256::digest(tag).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{MARK}{kind:x}{code:02x}{}", &text[..53])
}

/// Whether a digest was made here.
pub fn is_ours(digest: &str) -> bool {
    of_digest(digest).is_some()
}

fn of_digest(digest: &str) -> Option<Conduct> {
    let digits = digest.strip_prefix("sha256:")?.strip_prefix(MARK)?;
    let code = || u8::from_str_radix(digits.get(1..3)?, 16).ok();
    Some(match digits.get(..1)? {
        "0" => Conduct::Healthy,
        "1" => Conduct::Slow,
        "2" => Conduct::NeverHealthy,
        "3" => Conduct::Crashing,
        "4" => Conduct::Flapping,
        "5" => Conduct::Exits(code()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_and_its_digest_say_the_same() {
        let known = [
            ("healthy-1", Conduct::Healthy),
            ("latest", Conduct::Healthy),
            ("slow-1", Conduct::Slow),
            ("never-healthy", Conduct::NeverHealthy),
            ("crashing-2", Conduct::Crashing),
            ("flapping-1", Conduct::Flapping),
            ("exits-137", Conduct::Exits(137)),
            ("exits-3-again", Conduct::Exits(3)),
            ("exits-badly", Conduct::Healthy),
        ];
        for (tag, conduct) in known {
            assert_eq!(Conduct::of_tag(tag), conduct, "{tag}");
            let digest = digest_of(tag);
            assert_eq!(digest.len(), "sha256:".len() + 64);
            assert_eq!(Conduct::of_image(&format!("registry:5000/shop@{digest}")), conduct, "{tag}");
            assert_eq!(Conduct::of_image(&format!("registry:5000/shop:{tag}")), conduct, "{tag}");
        }
        assert_ne!(digest_of("healthy-1"), digest_of("healthy-2"));
        assert_eq!(Conduct::of_image("registry:5000/shop"), Conduct::Healthy);
    }
}
