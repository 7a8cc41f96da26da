//! The key and certificate of the page.
//!
//! A house has no name that an authority would vouch for, so the certificate is the station's own: made at the first start,
//! renewed with the same key before it ends. Who was invited finds its fingerprint in the invitation, and can compare.

use crate::identity::write_atomically;
use core::fmt;
use core::str::FromStr;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use std::io;
use std::path::{Path, PathBuf};

/// The longest that Apple's systems take a certificate for: 825 days.
const LIFE_DAYS: u32 = 820;
/// Days before its end at which it is renewed.
const RENEW_DAYS: u32 = 90;

/// A private key with its certificate.
pub struct Certificate {
    pub(super) key: PKey<Private>,
    pub(super) x509: X509,
}

/// The SHA-256 of a certificate, in the notation of browsers and of OpenSSL: `AB:CD:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintError;

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no fingerprint: write the certificate's SHA-256 as 32 pairs of digits, AB:CD:…")
    }
}

impl std::error::Error for FingerprintError {}

impl Fingerprint {
    /// Whether a certificate's SHA-256 is this one.
    pub(super) fn is(&self, digest: &[u8]) -> bool {
        self.0 == digest
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let mut bytes = [0; 32];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = u8::from_str_radix(pair.ok_or(FingerprintError)?, 16).map_err(|_| FingerprintError)?;
        }
        if pairs.next().is_some() { Err(FingerprintError) } else { Ok(Fingerprint(bytes)) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&pairs(&self.0))
    }
}

fn pairs(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Why there is no certificate.
#[derive(Debug)]
pub struct CertificateError {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, problem) = (self.path.display(), &self.problem);
        write!(f, "{path}: {problem}; without this file a new key and certificate are made")
    }
}

impl std::error::Error for CertificateError {}

impl Certificate {
    /// What is in `directory`, made or renewed where need be, for a page that is reached as `host`.
    ///
    /// # Errors
    /// A file that is no key, or that cannot be read or written.
    pub fn load_or_create(directory: &Path, host: &str) -> Result<Certificate, CertificateError> {
        let path = directory.join("page.pem");
        let wrong = |problem: String| CertificateError { path: path.clone(), problem };
        let kept = match std::fs::read(&path) {
            Ok(pem) => {
                let key = PKey::private_key_from_pem(&pem).map_err(|_| wrong("holds no private key".into()))?;
                Some((key, X509::from_pem(&pem).ok()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(wrong(format!("cannot be read: {error}"))),
        };
        let library = |error: ErrorStack| wrong(format!("OpenSSL: {error}"));
        let key = match kept {
            Some((key, Some(x509))) if holds(&x509, &key).unwrap_or(false) => return Ok(Certificate { key, x509 }),
            Some((key, _)) => key,
            None => new_key().map_err(library)?,
        };
        let x509 = sign(&key, host).map_err(library)?;
        let mut pem = key.private_key_to_pem_pkcs8().map_err(library)?;
        pem.extend(x509.to_pem().map_err(library)?);
        write_atomically(&path, &pem, 0o600).map_err(|error| wrong(format!("cannot be written: {error}")))?;
        Ok(Certificate { key, x509 })
    }

    /// The SHA-256 of the certificate, as browsers show it: `AB:CD:…`.
    pub fn fingerprint(&self) -> String {
        self.x509.digest(MessageDigest::sha256()).map_or_else(|_| String::new(), |digest| pairs(&digest))
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    // The curve that every browser takes.
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// Whether a certificate is of this key, and for a while yet.
fn holds(x509: &X509, key: &PKey<Private>) -> Result<bool, ErrorStack> {
    let soon = Asn1Time::days_from_now(RENEW_DAYS)?;
    Ok(x509.public_key()?.public_eq(key) && x509.not_after() > soon)
}

fn sign(key: &PKey<Private>, host: &str) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    // A common name has 64 letters at most (RFC 5280).
    name.append_entry_by_text("CN", &host.chars().take(64).collect::<String>())?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    // A board without a battery wakes up in the past.
    builder.set_not_before(Asn1Time::from_unix(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(LIFE_DAYS)?.as_ref())?;
    builder.append_extension(BasicConstraints::new().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let local = format!("{host}.local");
    let names = SubjectAlternativeName::new().dns(host).dns(&local).build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    //! Goal: a browser that has seen the certificate sees the same one again. Method: a folder of the test's own.
    use super::*;

    #[test]
    fn the_certificate_is_made_once_and_its_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = std::env::temp_dir().join(format!("visavis-certificate-{}", std::process::id()));
        let first = Certificate::load_or_create(&directory, "door").unwrap();
        let again = Certificate::load_or_create(&directory, "door").unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
        let read: Fingerprint = first.fingerprint().to_lowercase().parse().unwrap();
        assert!(read.is(&first.x509.digest(MessageDigest::sha256()).unwrap()) && !read.is(&[0; 32]));
        assert_eq!(read.to_string(), first.fingerprint());
        for wrong in ["", "AB", &first.fingerprint()[3..], &format!("{}:00", first.fingerprint()), &"+1:".repeat(32)] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(FingerprintError), "{wrong}");
        }
        let path = directory.join("page.pem");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "no key").unwrap();
        let error = Certificate::load_or_create(&directory, "door").err().unwrap().to_string();
        assert!(error.contains("page.pem") && error.contains("no private key"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
