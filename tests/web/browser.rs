//! A real Chromium, driven by WebDriver (W3C), as much of it as these tests need.

use crate::door::{PATIENCE, answer, until};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Where its pictures are kept.
    pictures: PathBuf,
}

impl Browser {
    /// With a window of a small phone.
    pub fn open(folder: &Path) -> Browser {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is there: make test-web installs it");
        let pictures = std::env::var_os("VISAVIS_PICTURES").map_or_else(|| folder.join("pictures"), PathBuf::from);
        std::fs::create_dir_all(&pictures).unwrap();
        let mut browser = Browser { driver, port, session: String::new(), pictures };
        until("a driver", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            "--window-size=390,760",
            &profile,
        ];
        let options = json!({ "binary": "/usr/bin/chromium", "args": arguments });
        let wanted = json!({ "browserName": "chrome", "acceptInsecureCerts": true, "goog:chromeOptions": options });
        let begun = browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = begun["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    pub fn go(&self, address: &str) {
        self.ask("POST", &self.path("/url"), &json!({ "url": address }));
    }

    /// What a function's body gives in the page.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", &self.path("/execute/sync"), &json!({ "script": script, "args": [] }))
    }

    /// What a promise gives.
    pub fn run_async(&self, expression: &str) -> Value {
        let script =
            format!("const done = arguments[arguments.length - 1]; ({expression}).then(done, (e) => done(String(e)));");
        self.ask("POST", &self.path("/execute/async"), &json!({ "script": script, "args": [] }))
    }

    pub fn click(&self, id: &str) {
        assert_eq!(
            self.run(&format!("return !document.getElementById('{id}').hidden")),
            true,
            "there is no button {id}"
        );
        self.run(&format!("document.getElementById('{id}').click()"));
    }

    /// Waits until an expression is true in the page.
    pub fn until(&self, what: &str, expression: &str) {
        let said = "return document.body.dataset.state + ': ' + document.body.innerText";
        let mut last = Value::Null;
        let is_so = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(what, || {
                last = self.run(said);
                (self.run(&format!("return Boolean({expression})")) == true).then_some(())
            });
        }));
        if is_so.is_err() {
            self.picture("failed");
            panic!("the page is not {what}, but {last}");
        }
    }

    pub fn until_state(&self, state: &str) {
        self.until(state, &format!("document.body.dataset.state === '{state}'"));
    }

    /// Keeps a picture of the page.
    pub fn picture(&self, name: &str) {
        let picture = self.ask("GET", &self.path("/screenshot"), &Value::Null);
        let bytes = openssl::base64::decode_block(picture.as_str().unwrap()).unwrap();
        std::fs::write(self.pictures.join(format!("{name}.png")), bytes).unwrap();
    }

    fn path(&self, of: &str) -> String {
        format!("/session/{}{of}", self.session)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (port, length) = (self.port, body.len());
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).unwrap();
        let text = answer(&mut stream);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
        let answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(head.contains(" 200 "), "{method} {path}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.ask("DELETE", &self.path(""), &Value::Null)
            }));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
