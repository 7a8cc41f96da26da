//! Rooms with bare walls, by the image-source method (Allen and Berkley, 1979): where a sound comes from, mirrored in every
//! wall, over and over, each image by its distance later and weaker.

use realfft::RealFftPlanner;

const RATE: f64 = 48e3;
const SOUND_M_S: f64 = 343.0;

/// A box with a station on its wall.
pub struct Room {
    pub size_m: [f64; 3],
    /// The time in which a sound falls by 60 dB.
    pub rt60_s: f64,
    /// Where the microphone is; the loudspeaker is 14 cm away, who speaks 80 cm.
    pub ear_m: [f64; 3],
}

/// From the least to the most that an intercom hangs in.
pub const ROOMS: [Room; 3] = [
    Room { size_m: [3.6, 2.9, 2.5], rt60_s: 0.35, ear_m: [0.3, 1.4, 1.4] },
    Room { size_m: [6.0, 2.2, 2.6], rt60_s: 0.6, ear_m: [0.2, 1.1, 1.4] },
    Room { size_m: [4.5, 2.6, 7.5], rt60_s: 1.2, ear_m: [0.3, 1.3, 1.4] },
];

impl Room {
    /// How the loudspeaker is heard by the microphone.
    pub fn of_loudspeaker(&self) -> Vec<f32> {
        let [x, y, z] = self.ear_m;
        self.response([x, y + 0.12, z - 0.08])
    }

    /// How who speaks is heard.
    pub fn of_person(&self) -> Vec<f32> {
        let [x, y, z] = self.ear_m;
        self.response([x + 0.8, y + 0.2, z + 0.2])
    }

    fn response(&self, from: [f64; 3]) -> Vec<f32> {
        let [x, y, z] = self.size_m;
        let (volume, surface) = (x * y * z, 2.0 * (x * y + y * z + x * z));
        // Eyring's formula, for the share that a wall reflects.
        let reflected = (-0.161 * volume / (surface * self.rt60_s)).exp().sqrt();
        let mut response = vec![0.0; (self.rt60_s * 0.75 * RATE) as usize];
        let reach_m = response.len() as f64 / RATE * SOUND_M_S;
        // The images along one axis: how far, and how often reflected.
        let along = |axis: usize| {
            let (size, last) = (self.size_m[axis], (reach_m / (2.0 * self.size_m[axis])).ceil() as i32 + 1);
            let image = move |n: i32, side: i32| {
                let at = f64::from(1 - 2 * side) * from[axis] + 2.0 * f64::from(n) * size;
                ((at - self.ear_m[axis]).powi(2), (n - side).abs() + n.abs())
            };
            (-last..=last).flat_map(|n| [image(n, 0), image(n, 1)]).collect::<Vec<_>>()
        };
        let [xs, ys, zs] = [along(0), along(1), along(2)];
        for (dx, bounces_x) in &xs {
            for (dy, bounces_y) in &ys {
                for (dz, bounces_z) in &zs {
                    let distance_m = (dx + dy + dz).sqrt();
                    let at = distance_m / SOUND_M_S * RATE;
                    let (whole, part) = (at as usize, at.fract());
                    if whole + 1 < response.len() {
                        let gain = (-reflected).powi(bounces_x + bounces_y + bounces_z) / distance_m.max(0.05);
                        response[whole] += gain * (1.0 - part);
                        response[whole + 1] += gain * part;
                    }
                }
            }
        }
        response.into_iter().map(|tap| tap as f32).collect()
    }
}

/// `sound` as it is heard through `response`.
pub fn heard_through(sound: &[f32], response: &[f32]) -> Vec<f32> {
    let length = (sound.len() + response.len()).next_power_of_two();
    let mut planner = RealFftPlanner::new();
    let (forth, back) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
    let spectrum = |samples: &[f32]| {
        let (mut padded, mut bins) = (samples.to_vec(), forth.make_output_vec());
        padded.resize(length, 0.0);
        forth.process(&mut padded, &mut bins).unwrap();
        bins
    };
    let (mut bins, room) = (spectrum(sound), spectrum(response));
    bins.iter_mut().zip(&room).for_each(|(bin, room)| *bin *= room / length as f32);
    let mut heard = back.make_output_vec();
    back.process(&mut bins, &mut heard).unwrap();
    heard.truncate(sound.len());
    heard
}
