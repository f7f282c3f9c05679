use super::*;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{fs, os::unix::fs::PermissionsExt as _};

#[test]
fn an_identity_is_made_once_and_read_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/id/DATA_PROVIDER");
    let made = Identity::open_or_create(&path).unwrap();
    assert_eq!(Identity::open_or_create(&path).unwrap().peer_id(), made.peer_id());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn two_that_make_one_at_once_get_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let ids: Vec<PeerId> = std::thread::scope(|scope| {
        let open = || Identity::open_or_create(&path).unwrap().peer_id();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn v2_f060_an_rsa_identity_of_v2_keeps_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("LIFECYCLE");
    let (file, id) = of_v2();
    fs::write(&path, file).unwrap();
    let identity = Identity::open_or_create(&path).unwrap();
    assert_eq!(identity.peer_id().to_string(), id);
    assert!(id.starts_with("Qm"), "{id}");
    identity.keypair().sign(b"something").unwrap();
}

#[test]
fn x21_a_file_that_others_may_read_is_closed_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let made = Identity::open_or_create(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Identity::open_or_create(&path).unwrap().peer_id(), made.peer_id());
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn x21_reading_neither_makes_nor_mends_and_a_file_of_v2_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, ours, theirs) =
        (folder.path().join("keys/id"), folder.path().join("ours"), folder.path().join("theirs"));
    let cause = Identity::read(&missing).unwrap_err();
    assert!(matches!(cause, IdentityError::Io { .. }) && !missing.parent().unwrap().exists(), "{cause}");
    let made = Identity::open_or_create(&ours).unwrap();
    fs::write(&theirs, of_v2().0).unwrap();
    for path in [&ours, &theirs] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        Identity::read(path).unwrap();
        assert_eq!(mode(path), 0o644);
    }
    assert_eq!(Identity::read(&ours).unwrap().peer_id(), made.peer_id());
    Identity::open_or_create(&theirs).unwrap();
    assert_eq!(mode(&theirs), 0o644);
}

#[test]
fn a_file_that_holds_something_else_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let (good, _) = of_v2();
    let mut of_another = good.clone();
    of_another[10] ^= 1;
    for bytes in [b"".to_vec(), b"hello".to_vec(), good[..900].to_vec(), of_another, vec![0x2a; 100_000]] {
        fs::write(&path, &bytes).unwrap();
        let error = Identity::open_or_create(&path).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn an_identity_shows_only_its_id() {
    let identity = Identity::random();
    assert_eq!(format!("{identity:?}"), format!("Identity({:?})", identity.peer_id()));
}

/// A file as js-peer-id writes it, byte by byte, and the id it prints.
fn of_v2() -> (Vec<u8>, String) {
    let pkcs1 = STANDARD.decode(PKCS1.concat()).unwrap();
    // What precedes modulus and exponent in a SubjectPublicKeyInfo of 2048 bits.
    let mut info = hex::decode("30820122300d06092a864886f70d01010105000382010f003082010a").unwrap();
    info.extend_from_slice(&pkcs1[7..7 + 4 + 257 + 5]);
    let public = key(&info);
    let digest = <[u8; 32]>::try_from(ring::digest::digest(&ring::digest::SHA256, &public).as_ref()).unwrap();
    let id = [&[0x12, 0x20][..], &digest].concat();
    let file = [field(0x0a, &id), field(0x12, &public), field(0x1a, &key(&pkcs1))].concat();
    (file, bs58::encode(id).into_string())
}

/// A key as libp2p writes it: type 0 is RSA.
fn key(data: &[u8]) -> Vec<u8> {
    [vec![0x08, 0x00], field(0x12, data)].concat()
}

fn field(tag: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    prost::encoding::encode_varint(data.len() as u64, &mut bytes);
    bytes.extend_from_slice(data);
    bytes
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A key of 2048 bits that is used nowhere else.
const PKCS1: [&str; 16] = [
    "MIIEowIBAAKCAQEAvBgz3OLVp4Q0JiP1UvCJMhwpOHGjyYHhviSIvXaeD/mQWCt7YuV898FC3I6eASTYwsc1xGQrbs7RfpebV1Sg",
    "t7z3sQljxyFsh2a69S21jBx+yWBy52MHHE8NAbGgWzGDEvC9aR7ipQ+6FF6zLAcat1QvY7Tzy4AAUMTVEHFvJ+CHeUzDVPtdc86k",
    "Zi9dx7bco1TvcgH9lWfmqPMQ2ZlNj2eQKlwmxSOXKQyv6OQ77iaUNlNtPeEwzbMn1eSgteJDHcDsum5+xlaHplNbesGU2Z9GTLXo",
    "ZsHYM9hDxxtpGmT/T3Rfdj8+1wq3QvrKOzCPgzkY9tmNXiMo/Ss2ksf+4QIDAQABAoIBACwjF8Rs3ArXjG8ov+/q7p66GfgbPn5S",
    "AnleVFH1LCj+fF8cMPNne3gduwVLWAtXrJ+kJFtF0CVL1b/5bmPDQYVsC8lYtTesga2SLyvKQpAyvZOelMf0Jl5/tEMh/cl4aFQA",
    "9slcjH2EH7uY7z1VG3FKiWZBt3WYvzo0vfSCUb2O3O4IupU6ODVCjBy5dzueMdxhI+aqH3jazH2DItv2ID13XEEM1E044cxhULva",
    "CNukGh0++uLILEz2ol1zCLPcx6DDe2Cux7kMEdltlvZ9DeLUmJzJLMHLZvjD1oG5LNcWPkNly2PoblbBzxIAur2WQOV1HFXvxfPA",
    "nulBhSKFzisCgYEA3ZrdJrTVc0Rrv7qJLwDY6wn3VN7AR9piXqyiPl1RjIi2dGbHjYSls0mK9odETBj7dofFsCkh6F2hd32nlwGc",
    "WkpRc+h4nVK8k0BXUjOPEiWI7krMhBnplwf3dPprBVpKLj8QNR7COiH2m8VCYHqLvjP9Fl7sZ8DKiHPmHZHpHy8CgYEA2UnanURn",
    "T+VyM7IfllNh3Dcb5Rr55OQK7WIf0zU9uJfU/rExYQKuCCRFouOUlrQqy5/4O666OJRgXzdL5HnLNzsTUF27LY3wldy+FFBC182K",
    "Thir0LQVnA0Cmq+yJzPJ/dMOTB9orA+b1INXiLfhJS4TAS+gCqnQNJF8dTMxvu8CgYEAm+o/uuH0ZBs5rDX0Gyv/cq8aY44tvuA5",
    "4d6YcER8AeKWbKN7t2gipVgS+40EUn4pPqYcQutNvg1Sc53m8eniNeygDmr7ocT6hKf6SA2alevuwanC5xbMMMUcKCOgdK2oD42z",
    "O4yenwQSXFqXbwYJmBM/+CNlNUKBvSu+NgPY/2UCgYBBIGS4/HamuNPI8NuM2AMd2RqwSaya0UsBKYb2bB/Kwx9hE0UEmaQF5rFE",
    "iEfR/8BP9euWH+HK8ZYNE+rYWTTyoe9BCEcA+Wkh0d7bAc93FTEeBUECNefANRoRuRWBsIEbZfYEFOnvoGIJiTBkVxDRbwTdNyQV",
    "7h3sk6qlCiof2wKBgGXLCkUjfN+lfC9fl03WaOfm0BtPXbFM50excAj0iV4Tdo4Q0mFS0SF44pKa7wjrh3fqYOxnHtxIu7ZjPLqD",
    "+cW2xKcpvwBlBoy/7IPRitkKFkDTDg9UmDl78TYH4fdkyUcxg5qcXITkn+LHDFjqdyS0rV+/GbK1psDA/0SQpv0m",
];
