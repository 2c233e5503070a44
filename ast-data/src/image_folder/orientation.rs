//! How an image is turned, from its EXIF data.

use super::rgb::Rgb;

/// The tag `Orientation` of EXIF: how the stored image is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Orientation {
    /// Rows become columns, before everything else.
    transposed: bool,
    /// The rows of the shown image are in reverse order.
    upside_down: bool,
    /// So are its columns.
    mirrored: bool,
}

impl Orientation {
    /// Of the value of the tag, 1..=8. Any other value is taken for 1, the image as it is.
    fn of_tag(value: u16) -> Self {
        let (transposed, upside_down, mirrored) = match value {
            2 => (false, false, true),
            3 => (false, true, true),
            4 => (false, true, false),
            5 => (true, false, false),
            6 => (true, false, true),
            7 => (true, true, true),
            8 => (true, true, false),
            _ => (false, false, false),
        };
        Self { transposed, upside_down, mirrored }
    }

    /// Height and width of the shown image.
    pub(super) fn sides(self, [height, width]: [usize; 2]) -> [usize; 2] {
        if self.transposed { [width, height] } else { [height, width] }
    }

    /// The shown image.
    pub(super) fn turn(self, image: Rgb) -> Rgb {
        if self == Self::default() {
            return image;
        }
        let [height, width] = self.sides([image.height, image.width]);
        let mut pixels = Vec::with_capacity(image.pixels.len());
        for row in 0..height {
            let row = if self.upside_down { height - 1 - row } else { row };
            for column in 0..width {
                let column = if self.mirrored { width - 1 - column } else { column };
                let [row, column] = if self.transposed { [column, row] } else { [row, column] };
                pixels.extend_from_slice(&image.pixels[3 * (row * image.width + column)..][..3]);
            }
        }
        Rgb { height, width, pixels }
    }
}

/// The orientation in EXIF data: a TIFF header, and the tag 0x0112 in its first directory. Data that is broken or has no
/// such tag leaves the image as it is.
pub(super) fn of_exif(exif: &[u8]) -> Orientation {
    Orientation::of_tag(tag(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)).unwrap_or(1))
}

fn tag(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = tiff.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(*bytes) } else { u16::from_be_bytes(*bytes) })
    };
    let long = |at: usize| {
        let bytes = tiff.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) } as usize)
    };
    let directory = long(4)?;
    let entries = usize::from(short(directory)?);
    let mut places = (0..entries).map(|entry| directory + 2 + 12 * entry);
    // A value of one short is in the entry itself.
    places.find(|at| short(*at) == Some(0x0112)).and_then(|at| short(at + 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXIF data with the orientation as its second entry.
    fn exif(little: bool, value: u16) -> Vec<u8> {
        let short = |x: u16| if little { x.to_le_bytes() } else { x.to_be_bytes() };
        let long = |x: u32| if little { x.to_le_bytes() } else { x.to_be_bytes() };
        let mut data = if little { b"II".to_vec() } else { b"MM".to_vec() };
        data.extend(short(42));
        data.extend(long(8));
        data.extend(short(2));
        for (tag, value) in [(0x0100, 9), (0x0112, value)] {
            data.extend([short(tag), short(3)].concat());
            data.extend(long(1));
            data.extend([short(value), short(0)].concat());
        }
        data
    }

    #[test]
    fn the_tag_is_found_in_both_byte_orders() {
        for little in [true, false] {
            for value in 1..=8 {
                let data = exif(little, value);
                assert_eq!(tag(&data), Some(value));
                assert_eq!(of_exif(&[b"Exif\0\0".as_slice(), &data].concat()), Orientation::of_tag(value));
            }
        }
    }

    #[test]
    fn broken_data_leaves_the_image_as_it_is() {
        let data = exif(true, 6);
        (0..data.len() - 16).for_each(|end| assert_eq!(of_exif(&data[..end.min(20)]), Orientation::default(), "{end}"));
        let mut far = data.clone();
        far[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(of_exif(&far), Orientation::default());
        for value in [0, 9, u16::MAX] {
            assert_eq!(of_exif(&exif(true, value)), Orientation::default());
        }
    }

    /// The image 0 1 2 / 3 4 5 in every orientation, by hand from the figure in the EXIF standard.
    #[test]
    fn images_are_turned_as_the_standard_shows() {
        let pixels = (0..6).flat_map(|i| [i; 3]).collect();
        let image = Rgb { height: 2, width: 3, pixels };
        for (value, rows) in [
            (1, vec![vec![0, 1, 2], vec![3, 4, 5]]),
            (2, vec![vec![2, 1, 0], vec![5, 4, 3]]),
            (3, vec![vec![5, 4, 3], vec![2, 1, 0]]),
            (4, vec![vec![3, 4, 5], vec![0, 1, 2]]),
            (5, vec![vec![0, 3], vec![1, 4], vec![2, 5]]),
            (6, vec![vec![3, 0], vec![4, 1], vec![5, 2]]),
            (7, vec![vec![5, 2], vec![4, 1], vec![3, 0]]),
            (8, vec![vec![2, 5], vec![1, 4], vec![0, 3]]),
        ] {
            let turned = Orientation::of_tag(value).turn(image.clone());
            let expected: Vec<u8> = rows.concat().into_iter().flat_map(|i| [i; 3]).collect();
            assert_eq!((turned.height, turned.width), (rows.len(), rows[0].len()), "{value}");
            assert_eq!(turned.pixels, expected, "{value}");
        }
    }
}
