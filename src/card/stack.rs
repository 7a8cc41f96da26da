//! A card's sign and texts, one below the other in the middle of the room there is, as large as fits.

use super::canvas::{Canvas, Rect};
use super::colour::Colour;
use super::content::{Block, Content, Role};
use super::icon::Icon;
use super::layout::{self, EM_MIN_PX, Line};
use super::text;

/// Em of each role in parts of the screen's shorter side: capitals of a title are a tenth of it.
const CLOCK_SHARE: f32 = 0.34;
const TITLE_SHARE: f32 = 0.14;
const BODY_SHARE: f32 = 0.085;
/// Side of the sign above.
const ICON_SHARE: f32 = 0.24;
/// Each try is smaller than the one before by this factor.
const SMALLER: f32 = 0.93;
/// Rather than smaller than this, texts that can be spared are left out: what stays can be read from two metres.
const SPARING: f32 = 0.6;
/// Height and baseline of a line of digits, in parts of the em.
const CAPITALS_LINE: f32 = 1.04;
const CAPITALS_BASELINE: f32 = 0.88;
/// A sign before a text, and what parts them, in parts of the em.
const SIGN: f32 = 1.0;
const SIGN_GAP: f32 = 0.4;

/// A line and how it is drawn.
#[derive(Debug)]
pub struct Placed {
    /// What it says.
    pub line: Line,
    /// The em of its letters, in pixels.
    pub em_px: u32,
    colour: Colour,
    sign: Option<Icon>,
    is_clock: bool,
    /// Pixels free above it.
    gap: u32,
}

impl Placed {
    fn height(&self) -> u32 {
        self.gap + self.line_px()
    }

    /// From the top of this line to the top of the next; the clock's digits have no tails.
    fn line_px(&self) -> u32 {
        (self.em_px as f32 * if self.is_clock { CAPITALS_LINE } else { text::LINE }) as u32
    }

    fn baseline_px(&self) -> u32 {
        (self.em_px as f32 * if self.is_clock { CAPITALS_BASELINE } else { text::BASELINE }) as u32
    }

    fn sign_width(&self) -> u32 {
        self.sign.map_or(0, |_| (self.em_px as f32 * (SIGN + SIGN_GAP)) as u32)
    }
}

/// What was made to fit.
#[derive(Debug, Default)]
pub struct Fitted {
    /// Side of the sign above all, in pixels; 0 where there is none.
    icon_px: u32,
    /// The lines, from top to bottom.
    pub lines: Vec<Placed>,
}

impl Fitted {
    fn height(&self) -> u32 {
        self.icon_px + self.lines.iter().map(Placed::height).sum::<u32>()
    }
}

fn em_px(role: Role, shorter: u32, scale: f32) -> u32 {
    let share = match role {
        Role::Clock => CLOCK_SHARE * scale,
        Role::Title => TITLE_SHARE * scale,
        // What is small already shrinks less, until all are of one size.
        Role::Body => (BODY_SHARE * scale.sqrt()).min(TITLE_SHARE * scale),
    };
    ((shorter as f32 * share) as u32).max(EM_MIN_PX)
}

/// How a fit is tried.
#[derive(Clone, Copy, Debug)]
struct Trial {
    scale: f32,
    /// Texts that are spared more easily than this are left out.
    spared: u8,
    /// Whether words may be broken; at the smallest size only.
    may_break: bool,
    /// Whether lines are made about equally long, which changes no height.
    is_even: bool,
}

/// Breaks the texts into lines at the largest size at which all of them fit into a room.
pub fn fit(content: &Content, room: Rect, shorter: u32) -> Fitted {
    let mut trial = Trial { scale: 1.0, spared: u8::MAX, may_break: false, is_even: false };
    loop {
        trial.may_break = em_px(Role::Clock, shorter, trial.scale) == EM_MIN_PX;
        match at(content, room, shorter, trial) {
            Some(fitted) if fitted.height() <= room.height => {
                return at(content, room, shorter, Trial { is_even: true, ..trial }).unwrap_or(fitted);
            }
            Some(mut fitted) if trial.may_break => {
                fitted.icon_px = 0;
                cut(&mut fitted.lines, room);
                return fitted;
            }
            None if trial.may_break => return Fitted::default(),
            _ => trial.scale *= SMALLER,
        }
        let spares = content.blocks.iter().map(|block| block.spare).filter(|spare| *spare <= trial.spared);
        if let Some(next) = spares.max().filter(|spare| *spare > 0 && trial.scale < SPARING) {
            (trial.scale, trial.spared) = (1.0, next - 1);
        }
    }
}

/// All lines of a trial; `None` where a word does not fit into one.
fn at(content: &Content, room: Rect, shorter: u32, trial: Trial) -> Option<Fitted> {
    let icon_px = content.icon.map_or(0, |_| (shorter as f32 * ICON_SHARE * trial.scale) as u32);
    let mut lines: Vec<Placed> = Vec::new();
    let mut before: Option<Role> = content.icon.map(|_| Role::Body);
    for block in content.blocks.iter().filter(|block| block.spare <= trial.spared) {
        let em_px = em_px(block.role, shorter, trial.scale);
        let mut gap = gap(before, block, em_px);
        let mut sign = block.icon;
        let width = room.width as f32 / em_px as f32 - sign.map_or(0.0, |_| SIGN + SIGN_GAP);
        let text = text::clean(&block.text);
        let mut wrapped = layout::wrap(&text, width, trial.may_break)?;
        if trial.is_even {
            wrapped = layout::even(&text, width, wrapped);
        }
        for line in wrapped {
            let is_clock = block.role == Role::Clock;
            lines.push(Placed { line, em_px, colour: block.colour, sign: sign.take(), is_clock, gap });
            (gap, before) = (0, Some(block.role));
        }
    }
    Some(Fitted { icon_px, lines })
}

/// More where a title and a text meet, so that they are seen to be two things; a digit has room of its own.
fn gap(before: Option<Role>, block: &Block, em_px: u32) -> u32 {
    match (before, block.role) {
        (None, _) | (_, Role::Clock) | (Some(Role::Clock), _) => 0,
        (Some(before), role) if before == role => em_px / 5,
        (Some(_), Role::Title) => em_px / 4,
        (Some(_), Role::Body) => em_px / 3,
    }
}

/// Drops the lines that are too many, and says so with dots on the last that stays.
fn cut(lines: &mut Vec<Placed>, room: Rect) {
    let height = |count: usize| lines[..count].iter().map(Placed::height).sum::<u32>();
    let fitting = (0..=lines.len()).rfind(|count| height(*count) <= room.height).unwrap_or(0);
    if fitting == lines.len() {
        return;
    }
    lines.truncate(fitting);
    if let Some(last) = lines.last_mut() {
        let width = room.width.saturating_sub(last.sign_width()) as f32 / last.em_px as f32;
        // Too long in any case, so that it gets its dots.
        let longer = format!("{} {}", last.line.text, "…".repeat(width as usize + 2));
        last.line = layout::shorten(&longer, width);
    }
}

/// Draws a card's sign and texts in a room.
pub fn draw(content: &Content, room: Rect, shorter: u32, canvas: &mut Canvas<'_>) {
    let fitted = fit(content, room, shorter);
    let mut top = room.top + (room.height.saturating_sub(fitted.height()) / 2) as i32;
    if let Some((icon, colour)) = content.icon.filter(|_| fitted.icon_px > 0) {
        let left = room.left + (room.width.saturating_sub(fitted.icon_px) / 2) as i32;
        canvas.paint(&icon.mask(left, top, fitted.icon_px), colour, 255);
        top += fitted.icon_px as i32;
    }
    for placed in &fitted.lines {
        top += placed.gap as i32;
        let (em, sign) = (placed.em_px, placed.sign_width());
        let width = sign + placed.line.width_px(em);
        let left = room.left + (room.width.saturating_sub(width) / 2) as i32;
        let baseline = top + placed.baseline_px() as i32;
        if let Some(icon) = placed.sign {
            let side = (em as f32 * SIGN) as u32;
            let above = baseline - (em as f32 * (SIGN + text::CAPITAL) / 2.0) as i32;
            canvas.paint(&icon.mask(left, above, side), placed.colour, 255);
        }
        text::draw(&placed.line.text, em, left + sign as i32, baseline, placed.colour, canvas);
        top += placed.line_px() as i32;
    }
}
