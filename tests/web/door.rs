//! A station at a door, with the page beside it.

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use visavis::call::CallConfig;
use visavis::card::Language;
use visavis::device::camera::CameraSpec;
use visavis::device::m2m::CodecSpec;
use visavis::identity::{Rights, SecretKey, system_random};
use visavis::media::{Level, Size, VideoCodec};
use visavis::panel::PanelConfig;
use visavis::panel::client::Client;
use visavis::panel::protocol::{Answer, Request, Status};
use visavis::station::{
    Config, HandsetConfig, Handsets, Intercom, IntercomConfig, IpVersion, MediaConfig, Page, PortConfig,
};
use visavis::sys::calendar::unix_ms;
use visavis::sys::wake::Stop;
use visavis::web::{Destination, Inviter, WEB_DIRECTORY};

/// Anything that comes at all comes well within this, on a machine that does much else besides.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the station is called.
pub const NAME: &str = "front door";

pub struct Door {
    pub folder: PathBuf,
    pub address: SocketAddr,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Door {
    pub fn open(test: &str) -> Door {
        Door::publishing(empty_folder(test), Vec::new())
    }

    /// One that sends what it sees and hears to media servers, by their names.
    pub fn publishing(folder: PathBuf, publish: Vec<(String, Destination)>) -> Door {
        let secret = SecretKey::load_or_create(&folder, system_random).unwrap();
        let (port, key, stop) = (free_udp_port(), secret.public(), Stop::new().unwrap());
        let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free_tcp_port());
        let page = Page { listen, hosts: vec!["door".into(), "door.local".into()] };
        let intercom = Intercom::start(config(&folder, secret, port), settings(&folder, page.clone())).unwrap();
        let handsets = Handsets::start(HandsetConfig {
            page,
            state: folder.clone(),
            control: vec![folder.join("control.sock")],
            station_name: NAME.into(),
            station_key: key,
            station_port: port,
            publish,
        })
        .unwrap();
        let (one, two) = (stop.clone(), stop.clone());
        let threads = vec![
            std::thread::spawn(move || intercom.run(&one).unwrap()),
            std::thread::spawn(move || handsets.run(&two).unwrap()),
        ];
        Door { folder, address: listen, stop, threads }
    }

    pub fn invite(&self, release: bool) -> String {
        let inviter = Inviter::load_or_create(&self.folder.join(WEB_DIRECTORY)).unwrap();
        inviter.invite(unix_ms() / 1_000, Rights { call: true, monitor: false, release })
    }

    pub fn ask(&self, request: &Request) -> Answer {
        Client::connect(&[self.folder.join("control.sock")]).unwrap().ask(request).unwrap()
    }

    /// The newest picture on the screen: rows of red, green and blue.
    pub fn screen(&self) -> Option<(usize, Vec<[u8; 3]>)> {
        let files = std::fs::read_dir(self.folder.join("screen")).ok()?;
        let newest = files.filter_map(Result::ok).map(|entry| entry.path()).max()?;
        let mut reader =
            png::Decoder::new(std::io::BufReader::new(std::fs::File::open(newest).ok()?)).read_info().ok()?;
        let mut bytes = vec![0; reader.output_buffer_size()?];
        let info = reader.next_frame(&mut bytes).ok()?;
        let pixels = bytes[..info.buffer_size()].chunks(info.color_type.samples());
        Some((info.width as usize, pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()))
    }

    pub fn act(&self, action: &str) {
        assert_eq!(self.ask(&Request::Act(action.into())), Answer::Done, "{action}");
    }

    pub fn status(&self) -> Status {
        match self.ask(&Request::Status) {
            Answer::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the station is as wanted.
    pub fn until<T>(&self, what: &str, mut is_it: impl FnMut(&Status) -> Option<T>) -> T {
        until(what, || is_it(&self.status()))
    }

    pub fn connect(&self) -> SslStream<TcpStream> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = builder.build().configure().unwrap().verify_hostname(false);
        config.connect("door", stream).unwrap()
    }

    /// One request as it is, and the whole answer.
    pub fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream)
    }

    /// As the page asks.
    pub fn post(&self, path: &str, more: &str, body: &str) -> String {
        let (address, length) = (self.address, body.len());
        self.exchange(&format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: https://{address}\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        ))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.stop();
        let ended: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        if !std::thread::panicking() {
            ended.into_iter().for_each(|ended| ended.expect("no thread panics"));
            std::fs::remove_dir_all(&self.folder).unwrap();
        }
    }
}

/// An answer, head and body.
pub fn answer(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
            let mut headers = head.lines().filter_map(|line| line.split_once(':'));
            let length = headers.find(|(name, _)| is_length(name)).map(|(_, value)| value.trim());
            if length.is_some_and(|length| body.len() >= length.parse::<usize>().unwrap()) {
                return text.into_owned();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text.into_owned(),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Waits for something, looking a few times a second.
pub fn until<T>(what: &str, mut is_it: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = is_it() {
            return found;
        }
        assert!(Instant::now() < end, "not {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn free_udp_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A folder of a test's own.
pub fn empty_folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("visavis-web-{}-{test}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn free_tcp_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn config(folder: &Path, secret: SecretKey, port: u16) -> Config {
    let loopback = Some(Ipv4Addr::LOCALHOST.into());
    Config {
        name: NAME.into(),
        secret,
        port: PortConfig { number: port, may_move: false, address: loopback, version: IpVersion::V4 },
        media: MediaConfig {
            camera: CameraSpec::Pattern,
            screen: format!("png:{}", folder.join("screen").display()).parse().unwrap(),
            mic: "tone".parse().unwrap(),
            clean_mic: true,
            speaker: format!("wav:{}", folder.join("heard.wav").display()).parse().unwrap(),
            codec: VideoCodec::H264,
            encoder: CodecSpec::Software,
            decoder: CodecSpec::Software,
            near: 0,
            bitrate_bps: None,
            size: Some(Size::new(320, 240)),
            rate_hz: Some(15),
            level: Level::FULL,
            looped: false,
            adapts: false,
            planes: true,
        },
        snapshot: None,
    }
}

fn settings(folder: &Path, page: Page) -> IntercomConfig {
    IntercomConfig {
        state: folder.to_owned(),
        call: CallConfig { early_media: true, ..CallConfig::default() },
        panel: PanelConfig { keys: Vec::new(), ..PanelConfig::default() },
        control: Some((folder.join("control.sock"), None)),
        metrics: None,
        find: None,
        peers: Vec::new(),
        auto_answer: visavis::time::Duration::ZERO,
        release_without_call: Vec::new(),
        language: Language::English,
        volume_percent: 100,
        sleep_after: None,
        page: Some(page),
    }
}
