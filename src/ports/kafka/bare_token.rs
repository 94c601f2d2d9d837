//! SASL as clients spoke it before SaslAuthenticate: after the first version of
//! SaslHandshake a frame is a token and nothing else, and so is its answer. Each
//! is put into the SaslAuthenticate that it would be today.

use super::messages::sasl_authenticate::{SaslAuthenticate, SaslAuthenticateRequest};
use super::messages::{ErrorCode, Parts, read_response, write_bare, write_request};
use super::session::Cut;
use bytes::Bytes;

const VERSION: i16 = 0;
const HEAD_BYTES: usize = 4;

pub fn request(token: Bytes) -> Result<Bytes, Cut> {
    let request = SaslAuthenticateRequest {
        auth_bytes: token.into(),
    };
    let parts = write_request::<SaslAuthenticate>(VERSION, 0, None, &request);
    let parts = parts.map_err(|_| Cut::Token)?;
    Ok(Bytes::from(parts.to_vec()).slice(HEAD_BYTES..))
}

/// The server's token as a frame. An error has no form: the connection is closed.
pub fn answer(parts: Option<Parts>) -> Result<Parts, Cut> {
    let frame = Bytes::from(parts.ok_or(Cut::Token)?.to_vec()).slice(HEAD_BYTES..);
    let read = read_response::<SaslAuthenticate>(VERSION, frame);
    let (_, response) = read.map_err(|_| Cut::Token)?;
    if response.error_code != ErrorCode::None {
        return Err(Cut::Token);
    }
    write_bare(&response.auth_bytes).map_err(|_| Cut::Token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::messages::sasl_authenticate::SaslAuthenticateResponse;
    use crate::ports::kafka::messages::{read_request, write_response};

    fn answered(error_code: ErrorCode) -> Option<Parts> {
        let response = SaslAuthenticateResponse {
            error_code,
            auth_bytes: Bytes::from_static(b"v=proof"),
            ..Default::default()
        };
        let parts = write_response::<SaslAuthenticate>(VERSION, 0, &response);
        Some(parts.unwrap())
    }

    #[test]
    fn a_token_goes_in_and_comes_out() {
        let frame = request(Bytes::from_static(b"\0mill\0secret")).unwrap();
        let (header, read) = read_request::<SaslAuthenticate>(frame).unwrap();
        assert_eq!(header.version, VERSION);
        assert_eq!(read.auth_bytes.0[..], *b"\0mill\0secret");

        let parts = answer(answered(ErrorCode::None)).unwrap();
        assert_eq!(parts.to_vec(), b"\0\0\0\x07v=proof");
    }

    #[test]
    fn an_error_is_not_taken_for_a_token() {
        let refused = answer(answered(ErrorCode::SaslAuthenticationFailed));
        assert_eq!(refused.err(), Some(Cut::Token));
        assert_eq!(answer(None).err(), Some(Cut::Token));
    }
}
