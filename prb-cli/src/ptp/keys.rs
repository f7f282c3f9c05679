//! The keys that peers know this machine's services by.

use super::PtpError;
use crate::config::Config;
use prb_p2p::{Identity, IdentityError, message::Role};
use tracing::info;

/// File of the key that peers know a service by, none of one that keeps none.
pub(crate) const fn key_file(role: Role) -> Option<&'static str> {
    match role {
        Role::DataProvider => Some("DATA_PROVIDER"),
        Role::LifecycleManager => Some("LIFECYCLE"),
        Role::Client => Some("MONITOR"),
        _ => None,
    }
}

/// The key of a service, which is kept. A monitor needs no place to keep one: without it is somebody else each time.
pub(super) fn identity(config: &Config, role: Role) -> Result<Identity, PtpError> {
    let Some(file) = key_file(role).map(|name| config.peer_keys_dir().join(name)) else {
        return Ok(Identity::random());
    };
    if role != Role::Client {
        return Ok(Identity::open_or_create(&file)?);
    }
    if !config.keeps_data() {
        return Ok(Identity::random());
    }
    match Identity::open_or_create(&file) {
        Err(IdentityError::Io { cause, .. }) if config.p2p.identity_dir.is_none() => {
            info!(path = %file.display(), %cause, "no peer identity is kept; p2p.identity_dir names another folder");
            Ok(Identity::random())
        }
        kept => Ok(kept?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_is_known_again_where_it_has_a_place_to_keep_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prb.toml");
        let monitor = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let config = Config::load(&file).unwrap();
            [(); 2].map(|()| identity(&config, Role::Client).map(|identity| identity.peer_id()))
        };
        let at = |key: &str, folder: &std::path::Path| {
            let start = "[chain]\nrelay = \"ws://a\"\npara = \"ws://a\"\n";
            match key {
                "data_dir" => format!("data_dir = {folder:?}\n{start}"),
                _ => format!("{start}[p2p]\n{key} = {folder:?}\n"),
            }
        };
        for key in ["data_dir", "identity_dir"] {
            let [one, two] = monitor(&at(key, folder.path()));
            assert_eq!(one.unwrap(), two.unwrap(), "{key}");
        }
        assert!(folder.path().join("p2p/MONITOR").exists() && folder.path().join("MONITOR").exists());
        // A file is no folder.
        let [one, two] = monitor(&at("data_dir", &file));
        assert_ne!(one.unwrap(), two.unwrap());
        assert!(monitor(&at("identity_dir", &file))[0].is_err(), "that was asked for");
        let [one, two] = monitor(&at("bridge_identity", "x".as_ref()));
        assert_ne!(one.unwrap(), two.unwrap());
    }
}
