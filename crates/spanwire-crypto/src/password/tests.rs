use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Made with passlib 1.7.4, argon2-cffi and the bcrypt package: other programs' hashes of `correct horse`.
const FOREIGN: &[&str] = &[
    "$pbkdf2-sha512$1200$AkCIca41ZizFWMsZg3AOwbh3TinFmFPKGYPwPmcMQQjBGINQirGWEkIIQQgBYCzl3Pv/P4cwpvSec45Ras35/w$zajBFbLWBYnvhkOGjFyAEx1eVkpFqB2b.Cp1CZ0PU8OvxtAv4k0X66iuaoL65tMIAOcHDnvpyUORWWDGUqEcHQ",
    "$pbkdf2-sha512$1$YCxFCOFcC8E$jeqEGdTlk/ZvmuetJV542Dm2sny4xtl.lj4KXWOnf.3lSZ0XR0K8zSFiCOm5qjEQoP9bvRoVzc3bN62GdrYpXw",
    "$pbkdf2-sha256$100$h7BW6t3be68VAgDgPOec0w$zUzU/FD2Z.cllEaaz3tfpAl6vvAH6sb.OLMtPHR5.Z4",
    "$pbkdf2$100$VmrNWYtxrhXiPEdobY2xdg$FmVhwJ.D8PHAdCpuos4yKFGpsRM",
    "$argon2id$v=19$m=64,t=1,p=2$uPOCkqHAxyyljkBYwvyKGg$S454sYLSd3wCgnGoDrFtDh0OA6XU3JAdsdJkO2SIY+M",
    "$argon2i$v=19$m=64,t=2,p=1$KP4sl9scMEzSzAv+NZGcsg$F18wgEWyZN975ZHcluQ+ZtNWJI0LL3c/+oCHUskTzqY",
    "$2b$04$GUq7LZmbRkJ3Yf91KjHCA.lEq71T/OA89hCe5hxy6VSK7w0v.03y6",
];

#[test]
fn hashes_of_other_programs_are_verified() {
    for hash in FOREIGN {
        assert_eq!(check(&secret(hash)), Ok(()), "{hash}");
        assert_eq!(verify(&secret("correct horse"), &secret(hash)), Ok(true), "{hash}");
        assert_eq!(verify(&secret("correct horsf"), &secret(hash)), Ok(false), "{hash}");
        assert_eq!(verify(&secret(""), &secret(hash)), Ok(false), "{hash}");
    }
}

const CHEAP: [Scheme; 2] = [
    Scheme::Pbkdf2Sha512 { rounds: 10, salt_size: 64 },
    Scheme::Argon2id { memory_kib: 64, passes: 1 },
];

#[test]
fn a_new_hash_verifies_and_knows_its_settings() {
    for scheme in CHEAP {
        let hash = scheme.hash(&secret("zażółć 🔑")).unwrap();
        assert_eq!(verify(&secret("zażółć 🔑"), &hash), Ok(true));
        assert_eq!(verify(&secret("zażółć"), &hash), Ok(false));
        assert!(scheme.made(&hash));
        let other = match scheme {
            Scheme::Pbkdf2Sha512 { .. } => Scheme::Pbkdf2Sha512 { rounds: 11, salt_size: 64 },
            Scheme::Argon2id { .. } => Scheme::Argon2id { memory_kib: 64, passes: 2 },
        };
        assert!(!other.made(&hash));
        assert!(!CHEAP.iter().filter(|it| **it != scheme).any(|it| it.made(&hash)));
    }
}

/// Section 9, 22: two equal passwords have different hashes.
#[test]
fn salts_differ() {
    for scheme in CHEAP {
        let of = || scheme.hash(&secret("same")).unwrap().expose().to_owned();
        assert_ne!(of(), of());
    }
}

#[test]
fn a_decoy_belongs_to_no_password_and_looks_like_any_other() {
    for scheme in CHEAP {
        let decoy = scheme.decoy().unwrap();
        assert!(scheme.made(&decoy), "{decoy:?}");
        assert_eq!(verify(&secret(""), &decoy), Ok(false));
        assert_ne!(decoy.expose(), scheme.decoy().unwrap().expose());
    }
}

#[test]
fn what_is_no_hash_or_too_expensive_is_refused() {
    for text in [
        "",
        "x",
        "$",
        "$pbkdf2-sha512$",
        "$pbkdf2-sha512$x$a$b",
        "$pbkdf2-sha512$0$YQ$YQ",
        "$pbkdf2-sha512$1$YQ$YQ",
        "$pbkdf2-sha512$1$YQ$YQ$YQ",
        "$argon2id$",
        "$argon2id$v=19$m=64,t=1,p=1$YWFhYWFhYWE",
        "$2b$12$",
        "$2b$xx$aaaaaaaa",
        "$1$md5$x",
        "plain text",
    ] {
        assert_eq!(check(&secret(text)), Err(HashError::Unknown), "{text}");
        assert!(verify(&secret("p"), &secret(text)).is_err(), "{text}");
    }
    let digest = "A".repeat(86);
    for text in [
        format!("$pbkdf2-sha512$20000001$YQ${digest}"),
        format!("$pbkdf2-sha512$1${}${digest}", "A".repeat(4_000)),
        "$argon2id$v=19$m=2097152,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYWFh".to_owned(),
        format!("$2b$31${}", "a".repeat(53)),
    ] {
        assert!(matches!(check(&secret(&text)), Err(HashError::TooExpensive { .. })), "{text}");
    }
    assert!(Scheme::Pbkdf2Sha512 { rounds: 0, salt_size: 64 }.hash(&secret("p")).is_err());
    assert!(Scheme::Argon2id { memory_kib: 0, passes: 1 }.hash(&secret("p")).is_err());
}
