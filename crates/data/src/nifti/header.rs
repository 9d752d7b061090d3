//! The header of 348 bytes.

/// What of it counts.
pub(super) struct Header {
    big: bool,
    /// Voxels along the axes, and volumes.
    pub shape: [usize; 4],
    kind: Kind,
    start: usize,
    /// What numbers are multiplied with, and what is added; none: nothing.
    scaling: Option<[f64; 2]>,
    spacing: [f64; 4],
    quaternion: [f64; 3],
    offset: [f64; 3],
    rows: [[f64; 4]; 3],
    codes: [i16; 2],
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// Where the numbers of a file in one piece begin at the earliest.
const FIRST: usize = 352;

/// Bytes of a header in their order.
struct Fields<'a>(&'a [u8], bool);

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        if self.1 {
            bytes.reverse();
        }
        bytes
    }

    fn short(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.bytes(at))
    }

    fn float(&self, at: usize) -> f64 {
        f64::from(f32::from_le_bytes(self.bytes(at)))
    }

    fn floats<const N: usize>(&self, at: usize) -> [f64; N] {
        std::array::from_fn(|i| self.float(at + 4 * i))
    }
}

impl Header {
    pub fn parse(content: &[u8]) -> Result<Header, String> {
        if content.len() < FIRST {
            return Err(format!("no NIfTI file: it has {} bytes, the header alone has 348", content.len()));
        }
        let big = match (i32::from_le_bytes(word(content)), i32::from_be_bytes(word(content))) {
            (348, _) => false,
            (_, 348) => true,
            (540, _) | (_, 540) => return Err("a NIfTI-2 file: NIfTI-1 is read; nibabel can save it as such".into()),
            _ => return Err("no NIfTI file: it does not begin with 348, the length of the header".into()),
        };
        match &content[344..348] {
            b"n+1\0" => {}
            b"ni1\0" => return Err("a header whose image is in another file (.img): save both as one .nii file".into()),
            _ => return Err("an ANALYZE 7.5 file, or a damaged one: it is not marked as NIfTI-1 (`n+1`)".into()),
        }
        let fields = Fields(content, big);
        let [slope, intercept] = fields.floats(112);
        let scaling = if slope != 0.0 && slope.is_finite() { Some([slope, intercept]) } else { None };
        if scaling.is_some() && !intercept.is_finite() {
            return Err(format!("its numbers are multiplied with {slope}, and {intercept} is added: that is damaged"));
        }
        let start = fields.float(108);
        if !(0.0..=1e15).contains(&start) {
            return Err(format!("its numbers begin at byte {start}: that is damaged"));
        }
        Ok(Header {
            big,
            shape: shape(&fields)?,
            kind: kind(fields.short(70))?,
            start: (start as usize).max(FIRST),
            scaling,
            spacing: fields.floats(76),
            quaternion: fields.floats(256),
            offset: fields.floats(268),
            rows: std::array::from_fn(|row| fields.floats(280 + 16 * row)),
            codes: [fields.short(252), fields.short(254)],
        })
    }

    /// The numbers of a volume in the file's order.
    pub fn numbers(&self, content: &[u8], volume: usize) -> Result<Vec<f32>, String> {
        let size = match self.kind {
            Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => 8,
        };
        let voxels = self.shape[..3].iter().try_fold(size, |n: usize, side| n.checked_mul(*side));
        let all = voxels.and_then(|n| n.checked_mul(self.shape[3])).and_then(|n| n.checked_add(self.start));
        let there = content.len();
        let (Some(bytes), Some(_)) = (voxels, all.filter(|all| *all <= there)) else {
            let [x, y, z, volumes] = self.shape;
            return Err(format!(
                "it promises {x} x {y} x {z} x {volumes} numbers and has {there} bytes: it is cut off"
            ));
        };
        let from = self.start + volume * bytes;
        Ok(content[from..from + bytes].chunks_exact(size).map(|number| self.number(number) as f32).collect())
    }

    fn number(&self, bytes: &[u8]) -> f64 {
        let fields = Fields(bytes, self.big);
        let stored = match self.kind {
            Kind::U8 => f64::from(bytes[0]),
            Kind::I8 => f64::from(i8::from_le_bytes([bytes[0]])),
            Kind::U16 => f64::from(u16::from_le_bytes(fields.bytes(0))),
            Kind::I16 => f64::from(fields.short(0)),
            Kind::U32 => f64::from(u32::from_le_bytes(fields.bytes(0))),
            Kind::I32 => f64::from(i32::from_le_bytes(fields.bytes(0))),
            Kind::U64 => u64::from_le_bytes(fields.bytes(0)) as f64,
            Kind::I64 => i64::from_le_bytes(fields.bytes(0)) as f64,
            Kind::F32 => fields.float(0),
            Kind::F64 => f64::from_le_bytes(fields.bytes(0)),
        };
        match self.scaling {
            Some([slope, intercept]) => stored * slope + intercept,
            None => stored,
        }
    }

    /// The s-form, the q-form, or voxels around the origin with the first axis reversed.
    pub fn affine(&self) -> [[f64; 4]; 3] {
        let [q, s] = self.codes;
        if s > 0 {
            return self.rows;
        }
        let [handed, sides @ ..] = self.spacing;
        if q > 0 {
            return turned(self.quaternion, handed, sides, self.offset);
        }
        std::array::from_fn(|row| {
            let side = if row == 0 { -sides[0] } else { sides[row] };
            let mut line = [0.0; 4];
            line[row] = side;
            line[3] = -side * (self.shape[row] as f64 - 1.0) / 2.0;
            line
        })
    }
}

fn word(content: &[u8]) -> [u8; 4] {
    [content[0], content[1], content[2], content[3]]
}

/// Voxels along three axes, and volumes along the fourth.
fn shape(fields: &Fields) -> Result<[usize; 4], String> {
    let axes = fields.short(40);
    if !(1..=7).contains(&axes) {
        return Err(format!("it says that it has {axes} dimensions: 1 to 7 are possible"));
    }
    let mut sides = [1; 7];
    for (axis, side) in sides.iter_mut().enumerate().take(axes as usize) {
        let voxels = fields.short(42 + 2 * axis);
        if voxels < 1 {
            return Err(format!("it says that it has {voxels} voxels along dimension {}", axis + 1));
        }
        *side = voxels as usize;
    }
    let [x, y, z, volumes, rest @ ..] = sides;
    match rest {
        [1, 1, 1] => Ok([x, y, z, volumes]),
        _ => Err(format!("it has more than 4 dimensions ({sides:?}): save one volume of it")),
    }
}

fn kind(code: i16) -> Result<Kind, String> {
    let refused = |what: &str| Err(format!("its numbers are {what} (code {code}): save it as real numbers"));
    match code {
        2 => Ok(Kind::U8),
        4 => Ok(Kind::I16),
        8 => Ok(Kind::I32),
        16 => Ok(Kind::F32),
        64 => Ok(Kind::F64),
        256 => Ok(Kind::I8),
        512 => Ok(Kind::U16),
        768 => Ok(Kind::U32),
        1024 => Ok(Kind::I64),
        1280 => Ok(Kind::U64),
        32 | 1792 | 2048 => refused("complex"),
        128 | 2304 => refused("colours"),
        1536 => refused("of 128 bits"),
        _ => refused("of an unknown kind"),
    }
}

/// The rotation of a unit quaternion whose first part is not negative, with the voxels' sides; the third axis is reversed where
/// `handed` is negative.
fn turned([b, c, d]: [f64; 3], handed: f64, sides: [f64; 3], offset: [f64; 3]) -> [[f64; 4]; 3] {
    let rest = 1.0 - (b * b + c * c + d * d);
    // Rounding can leave the three parts a little too long.
    let (a, long) = if rest < 1e-7 { (0.0, (1.0 - rest).sqrt()) } else { (rest.sqrt(), 1.0) };
    let [b, c, d] = [b / long, c / long, d / long];
    let turn = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let third = if handed < 0.0 { -1.0 } else { 1.0 };
    std::array::from_fn(|row| {
        let [x, y, z] = turn[row];
        [x * sides[0], y * sides[1], third * z * sides[2], offset[row]]
    })
}
