//! Unpacks compressed answers, so that nothing can hide in them.

use std::io::Write;

use flate2::write::{MultiGzDecoder, ZlibDecoder};

/// Packed bytes taken at once. Deflate makes at most 1,032 of one, so this bounds what is held in memory.
const STEP: usize = 1 << 10;

/// A content coding (RFC 9110 §8.4.1) that can be looked into.
pub(crate) enum Decoder {
    /// None: bytes stand for themselves.
    Identity,
    /// `gzip`.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// `deflate`, in zlib's form (RFC 1950).
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
}

/// The packed bytes are broken; says nothing of what they hold.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is not packed as it says")]
pub(crate) struct Broken;

impl Decoder {
    /// For the value of `Content-Encoding`; none where it names what cannot be looked into.
    pub(crate) fn of(coding: &[u8]) -> Option<Self> {
        let coding = coding.trim_ascii().to_ascii_lowercase();
        Some(match coding.as_slice() {
            b"" | b"identity" => Self::Identity,
            b"gzip" | b"x-gzip" => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            b"deflate" => Self::Zlib(Box::new(ZlibDecoder::new(Vec::new()))),
            _ => return None,
        })
    }

    /// Unpacks the next bytes of `packed`, which it cuts short by what was taken; answers what they hold.
    pub(crate) fn step(&mut self, packed: &mut &[u8]) -> Result<Vec<u8>, Broken> {
        let whole = *packed;
        let (now, later) = whole.split_at(STEP.min(whole.len()));
        let unpacked = match self {
            Self::Identity => {
                *packed = &[];
                return Ok(whole.to_vec());
            }
            Self::Gzip(decoder) => decoder
                .write_all(now)
                .map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => decoder
                .write_all(now)
                .map(|()| std::mem::take(decoder.get_mut())),
        };
        *packed = later;
        unpacked.map_err(|_| Broken)
    }

    /// The end: what is still to come, and whether it is whole.
    pub(crate) fn end(&mut self) -> Result<Vec<u8>, Broken> {
        match self {
            Self::Identity => Ok(Vec::new()),
            Self::Gzip(decoder) => decoder
                .try_finish()
                .map(|()| std::mem::take(decoder.get_mut())),
            Self::Zlib(decoder) => decoder
                .try_finish()
                .map(|()| std::mem::take(decoder.get_mut())),
        }
        .map_err(|_| Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    fn all(coding: &[u8], packed: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut decoder = Decoder::of(coding).unwrap();
        let (mut rest, mut out) = (packed, Vec::new());
        while !rest.is_empty() {
            let part = decoder.step(&mut rest)?;
            assert!(part.len() <= STEP * 1100, "a step is bounded");
            out.extend(part);
        }
        out.extend(decoder.end()?);
        Ok(out)
    }

    #[test]
    fn what_is_packed_is_unpacked_step_by_step() {
        let text = vec![b'x'; 10 << 20];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&text).unwrap();
        let zlib = zlib.finish().unwrap();
        assert!(all(b"gzip", &gzip).unwrap() == text);
        assert!(
            all(b" X-GZip ", &[gzip.clone(), gzip.clone()].concat())
                .unwrap()
                .len()
                == 20 << 20
        );
        assert!(all(b"deflate", &zlib).unwrap() == text);
        assert!(all(b"", b"abc").unwrap() == b"abc");
        assert!(all(b"gzip", &zlib).is_err() && all(b"gzip", &gzip[..100]).is_err());
        for coding in ["br", "zstd", "gzip, gzip", "compress", "gzip;q=1"] {
            assert!(Decoder::of(coding.as_bytes()).is_none(), "{coding}");
        }
    }
}
