//! Samples for a person to look at: images as PNG within the page, windows of text as text.

use ast_core::data::{Dataset, SampleError, Shape};
use ast_core::select::{SampleId, Visit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Largest side of an image in the page, in pixels.
const LARGEST: usize = 96;
/// Most bytes of a text.
const LETTERS: usize = 200;

/// A sample, for the page.
pub(super) enum Shown {
    /// An image, as the address of its PNG data.
    Image(String),
    Text(String),
}

/// A sample of a dataset.
pub(super) fn shown(data: &dyn Dataset, id: SampleId) -> Result<Shown, String> {
    match data.shape() {
        Shape::Image(sides) => {
            let mut values = vec![0.0; sides.iter().product()];
            let visit = Visit { id, epoch: 0, earlier: 0 };
            data.load(visit, None, &mut values).map_err(|SampleError { error, .. }| error.to_string())?;
            let normalisation = if data.has_pixels() { data.normalisation() } else { Vec::new() };
            let png = png(&pixels(&values, sides, &normalisation), sides)?;
            Ok(Shown::Image(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))))
        }
        Shape::Tokens(context) => {
            let mut tokens = vec![0; context + 1];
            data.write_tokens(id, &mut tokens);
            let bytes = tokens.iter().filter_map(|token| data.token(usize::try_from(*token).ok()?)).flatten().copied();
            Ok(Shown::Text(String::from_utf8_lossy(&bytes.take(LETTERS).collect::<Vec<u8>>()).into_owned()))
        }
    }
}

/// The pixels of a normalised image in 0..=255, channels first. Without a known scale its own lowest and highest values
/// are black and white.
fn pixels(values: &[f32], [channels, height, width]: [usize; 3], normalisation: &[[f32; 2]]) -> Vec<u8> {
    let (low, high) =
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let stretched = [-low / (high - low).max(1e-9), 1.0 / (high - low).max(1e-9)];
    let places = (height * width).max(1);
    let of = |(place, value): (usize, &f32)| {
        let [mean, deviation] = match normalisation.len() == channels {
            true => normalisation[place / places],
            false => stretched,
        };
        (255.0 * (value * deviation + mean)).round().clamp(0.0, 255.0) as u8
    };
    values.iter().enumerate().map(of).collect()
}

/// Encodes an image of one channel as grey, of three as colour; of others the first channel is shown. A large one is made
/// smaller by leaving out rows and columns.
fn png(pixels: &[u8], [channels, height, width]: [usize; 3]) -> Result<Vec<u8>, String> {
    let step = height.max(width).div_ceil(LARGEST).max(1);
    let shown = if channels == 3 { 3 } else { 1 };
    let (rows, columns) = ((0..height).step_by(step), (0..width).step_by(step));
    let (tall, wide) = (rows.len() as u32, columns.len() as u32);
    let at = |(y, x): (usize, usize)| (0..shown).map(move |c| pixels[(c * height + y) * width + x]);
    let bytes: Vec<u8> = rows.flat_map(|y| columns.clone().map(move |x| (y, x))).flat_map(at).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, wide, tall);
    encoder.set_color(if shown == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&bytes));
    written.map_err(|error| format!("cannot encode an image: {error}"))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(file: &[u8]) -> (png::ColorType, [u32; 2], Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        (info.color_type, [info.height, info.width], bytes)
    }

    #[test]
    fn images_are_shown_as_they_were_before_normalisation() {
        let [mean, deviation] = [0.4_f32, 0.25];
        let values: Vec<f32> = [0.0_f32, 1.0, 0.5, 0.2].map(|pixel| (pixel - mean) / deviation).into();
        assert_eq!(pixels(&values, [1, 2, 2], &[[mean, deviation]]), [0, 255, 128, 51]);
        assert_eq!(pixels(&[-3.0, 1.0, -1.0, 1.0], [1, 2, 2], &[]), [0, 255, 128, 255], "stretched");
        assert_eq!(pixels(&[7.0; 4], [1, 2, 2], &[]), [0; 4], "flat");
    }

    #[test]
    fn images_are_encoded_with_their_channels() {
        let colour: Vec<u8> = (0..12).collect();
        let file = png(&colour, [3, 2, 2]).unwrap();
        assert_eq!(decoded(&file), (png::ColorType::Rgb, [2, 2], vec![0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]));
        let (kind, sides, bytes) = decoded(&png(&vec![9; 200 * 100], [1, 200, 100]).unwrap());
        assert_eq!((kind, sides, bytes.len()), (png::ColorType::Grayscale, [67, 34], 67 * 34));
    }
}
