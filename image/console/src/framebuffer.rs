//! The screen of a Linux framebuffer, `/dev/fb0`.
//!
//! Rows are written with `pwrite` and not through mapped memory: every driver has both, a write into a driver that gave
//! way to another (the firmware's to the graphics card's) is an error and not a SIGBUS, it tells the driver at once what
//! changed, and a plain file does for tests.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use rustix::ioctl::{Getter, Opcode, ioctl};

use crate::{
    grid::{Grid, Size},
    pixel::{Canvas, Channel, Geometry, PixelError},
};

/// Why a framebuffer cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramebufferError {
    /// The device is not there, or gave an error.
    #[error("the framebuffer gave an error; look for the graphics driver in the kernel's log")]
    Io(#[from] io::Error),
    /// Planes, palettes, text.
    #[error("the framebuffer is of type {kind} with visual {visual}, not one of packed pixels in true colours")]
    Kind {
        /// FB_TYPE of linux/fb.h.
        kind: u32,
        /// FB_VISUAL of linux/fb.h.
        visual: u32,
    },
    /// Pixels that we do not draw.
    #[error(transparent)]
    Pixel(#[from] PixelError),
}

/// An open framebuffer and its frame.
#[derive(Debug)]
pub(crate) struct Framebuffer {
    device: File,
    mode: Mode,
    canvas: Canvas,
}

/// What the kernel says of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode {
    geometry: Geometry,
    /// Bytes before the first visible pixel.
    offset: u64,
}

impl Framebuffer {
    /// Opens a device. Nothing is drawn yet.
    pub(crate) fn open(path: &Path) -> Result<Self, FramebufferError> {
        let device = File::options().read(true).write(true).open(path)?;
        let mode = Mode::of(&device)?;
        Self::with(device, mode)
    }

    /// Draws into an open file in a mode that is known.
    pub(crate) fn with(device: File, mode: Mode) -> Result<Self, FramebufferError> {
        Ok(Self { device, mode, canvas: Canvas::new(mode.geometry)? })
    }

    /// Characters that fit.
    pub(crate) fn size(&self) -> Size {
        self.canvas.size()
    }

    /// Shows a grid: writes the rows of pixels that changed.
    pub(crate) fn show(&mut self, grid: &Grid) -> io::Result<()> {
        let stride = self.mode.geometry.stride;
        for rows in self.canvas.paint(grid) {
            let start = rows.start * stride;
            let offset = self.mode.offset + u64::try_from(start).map_err(io::Error::other)?;
            // The last row may end with its pixels, as the device may.
            let end = (rows.end * stride).min(self.last_byte());
            self.device.write_all_at(&self.canvas.bytes()[start..end], offset)?;
        }
        Ok(())
    }

    /// Draws everything with the next frame.
    pub(crate) fn forget(&mut self) {
        self.canvas.forget();
    }

    /// Whether the device is still the screen, in the mode in which it was opened.
    pub(crate) fn is_current(&self) -> bool {
        Mode::of(&self.device).is_ok_and(|mode| mode == self.mode)
    }

    /// The byte behind the last pixel.
    fn last_byte(&self) -> usize {
        let Geometry { width, height, stride, pixel_bytes, .. } = self.mode.geometry;
        stride * (height - 1) + width * pixel_bytes
    }
}

/// `fb_bitfield` of linux/fb.h.
#[repr(C)]
#[derive(Clone, Copy)]
struct Bitfield {
    offset: u32,
    length: u32,
    msb_right: u32,
}

/// `fb_var_screeninfo` of linux/fb.h; 160 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Variable {
    xres: u32,
    yres: u32,
    xres_virtual: u32,
    yres_virtual: u32,
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    grayscale: u32,
    colours: [Bitfield; 3],
    transparency: Bitfield,
    /// Timing and what is not for us.
    rest: [u32; 20],
}

/// `fb_fix_screeninfo` of linux/fb.h; 80 bytes where addresses have 64 bits.
#[repr(C)]
#[derive(Clone, Copy)]
struct Fixed {
    id: [u8; 16],
    memory_start: usize,
    memory_len: u32,
    kind: u32,
    kind_aux: u32,
    visual: u32,
    steps: [u16; 3],
    line_length: u32,
    registers_start: usize,
    registers_len: u32,
    accelerator: u32,
    capabilities: u16,
    reserved: [u16; 2],
}

const FBIOGET_VSCREENINFO: Opcode = 0x4600;
const FBIOGET_FSCREENINFO: Opcode = 0x4602;
const FB_TYPE_PACKED_PIXELS: u32 = 0;
const FB_VISUAL_TRUECOLOR: u32 = 2;
const FB_VISUAL_DIRECTCOLOR: u32 = 4;

impl Mode {
    /// Asks the kernel.
    fn of(device: &File) -> Result<Self, FramebufferError> {
        // SAFETY: FBIOGET_VSCREENINFO writes one `fb_var_screeninfo`, whose layout `Variable` has.
        let get = unsafe { Getter::<FBIOGET_VSCREENINFO, Variable>::new() };
        // SAFETY: the kernel writes into the getter's own memory.
        let variable = unsafe { ioctl(device, get) }.map_err(io::Error::from)?;
        // SAFETY: FBIOGET_FSCREENINFO writes one `fb_fix_screeninfo`, whose layout `Fixed` has.
        let get = unsafe { Getter::<FBIOGET_FSCREENINFO, Fixed>::new() };
        // SAFETY: the kernel writes into the getter's own memory.
        let fixed = unsafe { ioctl(device, get) }.map_err(io::Error::from)?;
        Self::from_kernel(&variable, &fixed)
    }

    fn from_kernel(variable: &Variable, fixed: &Fixed) -> Result<Self, FramebufferError> {
        let &Fixed { kind, visual, line_length, .. } = fixed;
        if kind != FB_TYPE_PACKED_PIXELS || ![FB_VISUAL_TRUECOLOR, FB_VISUAL_DIRECTCOLOR].contains(&visual) {
            return Err(FramebufferError::Kind { kind, visual });
        }
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let pixel_bytes = variable.bits_per_pixel / 8;
        let channels = variable.colours.map(|Bitfield { offset, length, .. }| Channel { offset, bits: length });
        let geometry = Geometry {
            width: size(variable.xres),
            height: size(variable.yres),
            stride: size(line_length),
            pixel_bytes: size(pixel_bytes),
            channels,
        };
        let above = u64::from(variable.yoffset) * u64::from(line_length);
        Ok(Self { geometry, offset: above + u64::from(variable.xoffset) * u64::from(pixel_bytes) })
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;
    use crate::{
        layout::{Abilities, layout},
        screen::Screen,
    };

    fn answers() -> (Variable, Fixed) {
        let field = |offset| Bitfield { offset, length: 8, msb_right: 0 };
        let variable = Variable {
            xres: 640,
            yres: 480,
            xres_virtual: 640,
            yres_virtual: 960,
            xoffset: 2,
            yoffset: 480,
            bits_per_pixel: 32,
            grayscale: 0,
            colours: [16, 8, 0].map(field),
            transparency: field(24),
            rest: [0; 20],
        };
        let fixed = Fixed {
            id: [0; 16],
            memory_start: 0,
            memory_len: 0,
            kind: 0,
            kind_aux: 0,
            visual: 2,
            steps: [0; 3],
            line_length: 2624,
            registers_start: 0,
            registers_len: 0,
            accelerator: 0,
            capabilities: 0,
            reserved: [0; 2],
        };
        (variable, fixed)
    }

    #[test]
    fn the_layouts_are_those_of_the_kernel() {
        assert_eq!(size_of::<Variable>(), 160);
        assert_eq!(size_of::<Fixed>(), 80);
        assert_eq!((offset_of!(Fixed, visual), offset_of!(Fixed, line_length)), (36, 48));
        assert_eq!(offset_of!(Variable, colours), 32);
    }

    #[test]
    fn rows_are_written_where_the_screen_has_them() {
        let (variable, fixed) = answers();
        let mode = Mode::from_kernel(&variable, &fixed).unwrap();
        assert_eq!(mode.offset, 480 * 2624 + 8);
        let file = tempfile::tempfile().unwrap();
        let mut framebuffer = Framebuffer::with(file.try_clone().unwrap(), mode).unwrap();
        let mut screen = Screen::new("Box");
        let show = |screen: &Screen, framebuffer: &mut Framebuffer| {
            framebuffer.show(&layout(screen, framebuffer.size(), Abilities::default())).unwrap();
        };
        show(&screen, &mut framebuffer);
        screen.line("Text");
        show(&screen, &mut framebuffer);
        let mut bytes = vec![0; 479 * 2624 + 2560];
        file.read_exact_at(&mut bytes, mode.offset).unwrap();
        assert!(framebuffer.canvas.bytes().starts_with(&bytes));
        assert_eq!(file.metadata().unwrap().len(), mode.offset + 479 * 2624 + 2560);
        assert!(!framebuffer.is_current(), "a file has no video mode");
    }

    #[test]
    fn what_is_no_true_colour_is_refused() {
        let (variable, mut fixed) = answers();
        fixed.visual = 3;
        assert!(matches!(Mode::from_kernel(&variable, &fixed), Err(FramebufferError::Kind { kind: 0, visual: 3 })));
        (fixed.kind, fixed.visual) = (1, 2);
        assert!(matches!(Mode::from_kernel(&variable, &fixed), Err(FramebufferError::Kind { kind: 1, visual: 2 })));
    }
}
