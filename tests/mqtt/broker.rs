//! A real broker, and its own clients.

use crate::house::{PATIENCE, until};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// mosquitto, ended when it is dropped.
pub struct Broker {
    pub port: u16,
    config: PathBuf,
    child: Option<Child>,
    /// What its clients give beside its port.
    credentials: Vec<String>,
}

impl Broker {
    /// With `more` in its configuration.
    pub fn start(folder: &Path, more: &str, credentials: &[&str]) -> Broker {
        // Free a moment ago; what the kernel gives out goes up, so that nobody else has it yet.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let config = folder.join("mosquitto.conf");
        // Started as root, it would otherwise become a user who may not read the test's folder.
        fs::write(&config, format!("listener {port} 127.0.0.1\npersistence false\nuser root\n{more}\n")).unwrap();
        let credentials = credentials.iter().map(|word| (*word).to_owned()).collect();
        let mut broker = Broker { port, config, child: None, credentials };
        broker.start_again();
        broker
    }

    pub fn start_again(&mut self) {
        let program = ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(program.unwrap_or("mosquitto"));
        self.child = Some(command.arg("-c").arg(&self.config).stderr(Stdio::null()).spawn().unwrap());
        until("listening", || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(&self.credentials);
        command
    }

    /// Publishes as anybody may.
    pub fn say(&self, topic: &str, payload: &str, more: &[&str]) {
        let done = self.client("mosquitto_pub").args(["-q", "1", "-t", topic, "-m", payload]).args(more).status();
        assert!(done.unwrap().success(), "{topic} {payload}");
    }

    /// Hears everything, from what is retained on.
    pub fn listen(&self) -> Ears {
        let mut command = self.client("mosquitto_sub");
        command.args(["-q", "1", "-t", "#", "-F", "%t\t%r\t%q\t%x"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut heard = lines.filter_map(|line| Heard::read(&line));
            heard.try_for_each(|heard| tell.send(heard))
        });
        Ears { child, told }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A message as mosquitto_sub had it.
#[derive(Debug)]
pub struct Heard {
    pub topic: String,
    pub is_retained: bool,
    pub qos: u8,
    pub payload: Vec<u8>,
}

impl Heard {
    fn read(line: &str) -> Option<Heard> {
        let [topic, retained, qos, hex] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let payload = hex.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
        Some(Heard { topic: topic.into(), is_retained: retained == "1", qos: qos.parse().ok()?, payload })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|error| panic!("{}: {error}", self.text()))
    }
}

/// mosquitto_sub, ended when it is dropped.
pub struct Ears {
    child: Child,
    told: Receiver<Heard>,
}

impl Ears {
    /// Waits for a message on `topic` of which `is_it` holds; others are passed over.
    pub fn until(&self, topic: &str, is_it: impl Fn(&Heard) -> bool) -> Heard {
        let mut seen = Vec::new();
        loop {
            match self.told.recv_timeout(PATIENCE) {
                Ok(heard) if heard.topic == topic && is_it(&heard) => return heard,
                Ok(heard) => seen.push((heard.topic.clone(), heard.text().chars().take(80).collect::<String>())),
                Err(_) => panic!("nothing of {topic}; but {seen:#?}"),
            }
        }
    }

    pub fn until_said(&self, topic: &str, text: &str) -> Heard {
        self.until(topic, |heard| heard.payload == text.as_bytes())
    }

    /// What has been heard up to now, which `broker` confirms with a word of its own.
    pub fn so_far(&self, broker: &Broker) -> Vec<Heard> {
        broker.say("test/mark", "here", &[]);
        let mut all = Vec::new();
        loop {
            match self.told.recv_timeout(PATIENCE).expect("the mark") {
                heard if heard.topic == "test/mark" => return all,
                heard => all.push(heard),
            }
        }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
