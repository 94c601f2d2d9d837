//! TLS on a door's one port, and whom a client's certificate names.

use rustls::pki_types::CertificateDer;
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate, X509Name};

/// The first byte of a TLS handshake. A frame's length would be 352 MiB with
/// it, and no word of ZooKeeper's begins so.
pub const FIRST_BYTE: u8 = 0x16;

/// Whom the certificate names that a client has shown and TLS checked.
pub fn subject(certificates: Option<&[CertificateDer<'_>]>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificates?.first()?).ok()?;
    Some(name(certificate.subject()))
}

/// A name as access lists hold it: RFC 2253, last part first, in the form that
/// Java's X500Principal.getName() gives it.
fn name(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter()
        .map(|part| {
            let attributes: Vec<String> = part.iter().map(attribute).collect();
            attributes.join("+")
        })
        .collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// The attributes that RFC 2253 gives a short name.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// An attribute without a short name is shown as its number and the bytes of
/// its value, because nobody knows how to read it.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == number);
    match (short, text(attribute)) {
        (Some((_, short)), Some(text)) => format!("{short}={}", escape(&text)),
        (short, _) => {
            let name = short.map_or(number.as_str(), |(_, short)| short);
            format!("{name}=#{}", encoded(attribute))
        }
    }
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => {
            let units = value.data.chunks_exact(2);
            let units: Vec<u16> = units
                .map(|two| u16::from_be_bytes([two[0], two[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        // Java reads these as Latin-1.
        Tag::T61String | Tag::GeneralString => {
            Some(value.data.iter().map(|&byte| char::from(byte)).collect())
        }
        Tag::PrintableString | Tag::Utf8String | Tag::Ia5String => {
            String::from_utf8(value.data.to_vec()).ok()
        }
        _ => None,
    }
}

/// The value's DER, in hexadecimal.
fn encoded(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.attr_value();
    let mut bytes = vec![value.tag().0 as u8];
    let length = value.data.len();
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => bytes.push(short),
        _ => {
            let all = length.to_be_bytes();
            let used = &all[length.leading_zeros() as usize / 8..];
            bytes.push(0x80 | used.len() as u8);
            bytes.extend_from_slice(used);
        }
    }
    bytes.extend_from_slice(value.data);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn escape(text: &str) -> String {
    let is_space = |c: char| c == ' ' || c == '\r';
    let body = text.trim_start_matches(is_space);
    let lead = text.len() - body.len();
    let trail = lead + body.trim_end_matches(is_space).len();
    let mut escaped = String::new();
    for (at, c) in text.char_indices() {
        match c {
            '\0' => escaped.push_str("\\00"),
            _ => {
                if at < lead || at >= trail || ",=+<>#;\"\\".contains(c) {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
        }
    }
    escaped
}
