//! Decodes a JPEG or PNG image to bytes of red, green and blue.
//!
//! Grey becomes three equal channels, a palette its colours, CMYK and YCCK red, green and blue (as Adobe writes them,
//! inverted). Transparency is dropped, and of 16 bits the upper 8 are kept, both as in Pillow. An image is turned as its EXIF
//! data says.

use std::io::Cursor;

use png::{ColorType, Limits, Transformations};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::orientation::{Orientation, of_exif};
use super::rgb::Rgb;

/// No larger image is decoded: a small file can claim to be huge.
const MOST_PIXELS: usize = 100_000_000;
/// No longer side is decoded, which is JPEG's limit.
const LONGEST: usize = 65_535;
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Decodes the bytes of a file. The format is told by its first bytes, whatever the name of the file.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn decode(file: &[u8]) -> Result<Rgb, String> {
    let (image, orientation) = match file {
        [] => return Err("the file is empty".into()),
        _ if file.starts_with(&JPEG) => jpeg(file)?,
        _ if file.starts_with(&PNG) => png(file)?,
        _ => return Err("it is neither a JPEG nor a PNG image".into()),
    };
    Ok(orientation.turn(image))
}

/// Height and width of an image, turned as its EXIF data says, from the headers alone.
///
/// # Errors
/// As [`decode`].
pub(super) fn sides(file: &[u8]) -> Result<[usize; 2], String> {
    let (width, height, exif) = match file {
        [] => return Err("the file is empty".into()),
        _ if file.starts_with(&JPEG) => {
            let decoder = jpeg_headers(file)?;
            let (width, height) = decoder.dimensions().unwrap_or_default();
            (width, height, decoder.exif().cloned())
        }
        _ if file.starts_with(&PNG) => {
            let reader = png_headers(file)?;
            let info = reader.info();
            (info.width as usize, info.height as usize, info.exif_metadata.as_ref().map(|exif| exif.to_vec()))
        }
        _ => return Err("it is neither a JPEG nor a PNG image".into()),
    };
    check([height, width])?;
    Ok(exif.map(|exif| of_exif(&exif)).unwrap_or_default().sides([height, width]))
}

fn check([height, width]: [usize; 2]) -> Result<(), String> {
    if height == 0 || width == 0 {
        return Err("it has no pixels".into());
    }
    if height > LONGEST || width > LONGEST || height * width > MOST_PIXELS {
        return Err(format!("it claims to have {height} x {width} pixels, more than {MOST_PIXELS}"));
    }
    Ok(())
}

fn jpeg_headers(file: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, String> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_max_width(LONGEST)
        .set_max_height(LONGEST)
        .set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| format!("it is a damaged JPEG image: {error:?}"))?;
    Ok(decoder)
}

fn jpeg(file: &[u8]) -> Result<(Rgb, Orientation), String> {
    let mut decoder = jpeg_headers(file)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    check([height, width])?;
    if !is_whole(file) {
        return Err("it is a JPEG image that is cut off".into());
    }
    let pixels = decoder.decode().map_err(|error| format!("it is a damaged JPEG image: {error:?}"))?;
    if pixels.len() != 3 * height * width {
        return Err(format!("it is a JPEG image with colours of an unknown kind ({:?})", decoder.input_colorspace()));
    }
    let orientation = decoder.exif().map(|exif| of_exif(exif)).unwrap_or_default();
    Ok((Rgb { height, width, pixels }, orientation))
}

/// Whether the marker of the end comes after the last scan. The decoder takes what is missing for grey.
fn is_whole(file: &[u8]) -> bool {
    let last = |marker: u8| file.windows(2).rposition(|two| two == [0xff, marker]);
    last(0xd9).is_some_and(|end| last(0xda).is_some_and(|scan| scan < end))
}

fn png_headers(file: &[u8]) -> Result<png::Reader<Cursor<&[u8]>>, String> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), Limits { bytes: 8 * MOST_PIXELS });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.read_info().map_err(|error| damaged_png(&error))
}

fn damaged_png(error: &png::DecodingError) -> String {
    match error {
        png::DecodingError::LimitsExceeded => {
            format!("it is a PNG image that takes more than {} MB", 8 * MOST_PIXELS / 1_000_000)
        }
        _ => format!("it is a damaged PNG image: {error}"),
    }
}

fn png(file: &[u8]) -> Result<(Rgb, Orientation), String> {
    let mut reader = png_headers(file)?;
    let [height, width] = [reader.info().height, reader.info().width].map(|side| side as usize);
    check([height, width])?;
    let size = reader.output_buffer_size().ok_or("it is too large")?;
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(|error| damaged_png(&error))?;
    bytes.truncate(frame.buffer_size());
    let pixels = match frame.color_type {
        ColorType::Rgb => bytes,
        ColorType::Rgba => bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        ColorType::Grayscale => bytes.into_iter().flat_map(|grey| [grey; 3]).collect(),
        ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        ColorType::Indexed => return Err("it is a PNG image without its palette".into()),
    };
    let orientation = reader.info().exif_metadata.as_ref().map(|exif| of_exif(exif)).unwrap_or_default();
    match pixels.len() == 3 * height * width {
        true => Ok((Rgb { height, width, pixels }, orientation)),
        false => Err("it is a damaged PNG image: some of its pixels are missing".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn file(name: &str) -> Vec<u8> {
        fs::read(Path::new("tests/image_folder").join(name)).unwrap()
    }

    /// Largest and mean difference to what Pillow reads.
    fn difference(name: &str) -> (u8, f64) {
        let image = decode(&file(name)).unwrap();
        assert_eq!(Ok([image.height, image.width]), sides(&file(name)), "{name}");
        let expected = file(&format!("{}.rgb", name.split('.').next().unwrap()));
        assert_eq!(image.pixels.len(), expected.len(), "{name}");
        let differences: Vec<u8> = image.pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).collect();
        let sum: u32 = differences.iter().map(|difference| u32::from(*difference)).sum();
        (differences.iter().copied().max().unwrap(), f64::from(sum) / differences.len() as f64)
    }

    /// PNG has no losses: every kind is that of Pillow, and of 16 bits the upper 8.
    #[test]
    fn png_images_are_those_of_pillow() {
        for name in ["colour", "grey", "bit", "palette", "clear", "alpha", "grey_alpha", "colour16", "grey16", "turned"]
        {
            assert_eq!(difference(&format!("{name}.png")), (0, 0.0), "{name}");
        }
    }

    /// Decoders round the inverse cosine transform and the conversion of colours differently, by up to 2 levels; where
    /// colours are subsampled and spread again, by 3.
    #[test]
    fn jpeg_images_are_nearly_those_of_pillow() {
        let turned: Vec<String> = (1..=8).map(|orientation| format!("exif{orientation}")).collect();
        let whole = ["baseline", "greyscale", "cmyk"].into_iter().chain(turned.iter().map(String::as_str));
        let all = whole.map(|name| (name, 2, 0.05)).chain([("subsampled", 3, 0.5), ("progressive", 3, 0.5)]);
        for (name, most, most_on_average) in all {
            let (largest, mean) = difference(&format!("{name}.jpg"));
            assert!(largest <= most && mean < most_on_average, "{name}: {largest} {mean}");
        }
    }

    fn kinds() -> Vec<String> {
        let names = fs::read_dir("tests/image_folder").unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".jpg") || name.ends_with(".png"));
        names.sort();
        assert_eq!(names.len(), 23);
        names
    }

    /// A file that is cut off anywhere before the end of its pixels is broken, not half an image.
    #[test]
    fn files_that_are_cut_off_are_refused() {
        for name in kinds() {
            let whole = file(&name);
            // The last chunk of a PNG, of 12 bytes, says nothing.
            let needed = if name.ends_with(".png") { whole.len() - 12 } else { whole.len() };
            for end in 0..needed {
                assert!(decode(&whole[..end]).is_err(), "{name} without its last {} bytes", whole.len() - end);
            }
        }
    }

    /// Damaged bytes are an error or other pixels, never a panic.
    #[test]
    fn damaged_files_do_no_harm() {
        for name in kinds() {
            let whole = file(&name);
            for at in 0..whole.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] ^= flip;
                    if let Ok(image) = decode(&damaged) {
                        assert_eq!(image.pixels.len(), 3 * image.height * image.width);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_image_is_refused_in_words() {
        for (file, words) in [
            (&b""[..], "the file is empty"),
            (b"<html>not found</html>", "neither a JPEG nor a PNG"),
            (b"GIF89a", "neither a JPEG nor a PNG"),
            (b"\xff\xd8\xff", "damaged JPEG"),
            (b"\x89PNG\r\n\x1a\n", "damaged PNG"),
        ] {
            let message = decode(file).unwrap_err();
            assert!(message.contains(words), "{message}");
            assert_eq!(sides(file).unwrap_err(), message);
        }
    }

    /// A header may claim any size: nothing is allocated for it.
    #[test]
    fn huge_images_are_refused_by_their_header() {
        let mut bomb = file("grey.png");
        bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.finalize().to_be_bytes());
        assert!(decode(&bomb).unwrap_err().contains("65535 x 65535 pixels"), "{:?}", decode(&bomb));
        let mut bomb = file("baseline.jpg");
        let frame = bomb.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
        bomb[frame + 5..frame + 9].fill(0xff);
        assert!(decode(&bomb).unwrap_err().contains("65535 x 65535 pixels"), "{:?}", decode(&bomb));
        bomb[frame + 5..frame + 9].fill(0);
        assert!(decode(&bomb).is_err());
    }
}
