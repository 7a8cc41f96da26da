// Pictures and sound: one WebRTC connection, made when somebody rings or is rung, and closed with the call.
//
// Camera and microphone are asked for only when the person here answers or calls; until then the connection brings the
// station's picture alone. The tracks are put in place of none, so that nothing is negotiated twice.

const FACINGS = ["user", "environment"];

export class Line {
  constructor(far, near, changed) {
    this.far = far;
    this.near = near;
    this.changed = changed;
    this.facing = 0;
    this.own = null;
    this.connection = null;
    this.wanted = false;
  }

  // Opens the connection; what is there already stays.
  async open() {
    if (this.connection) return;
    const connection = new RTCPeerConnection();
    this.connection = connection;
    this.audio = connection.addTransceiver("audio", { direction: "sendrecv" });
    this.video = connection.addTransceiver("video", { direction: "sendrecv" });
    const stream = new MediaStream();
    connection.ontrack = (event) => {
      stream.addTrack(event.track);
      // A conversation wants no waiting; where there is jitter, the browser adds to it by itself.
      if ("jitterBufferTarget" in event.receiver) event.receiver.jitterBufferTarget = 0;
      if (this.far.srcObject !== stream) this.far.srcObject = stream;
      this.play();
    };
    connection.onconnectionstatechange = () => {
      if (this.connection !== connection) return;
      if (["failed", "closed"].includes(connection.connectionState)) this.again();
      this.changed();
    };
    try {
      await connection.setLocalDescription(await connection.createOffer());
      const answer = await fetch("/api/offer", { method: "POST", body: connection.localDescription.sdp });
      if (!answer.ok) throw new Error(await answer.text());
      await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
      if (this.wanted) await this.put();
    } catch (error) {
      if (this.connection === connection) this.close();
      throw error;
    }
  }

  // A connection that broke is made anew while the call goes on.
  again() {
    const wanted = this.wanted;
    this.drop();
    this.wanted = wanted;
    setTimeout(() => this.changed("again"), 1000);
  }

  async play() {
    try {
      await this.far.play();
    } catch {
      // Sound is not played before the page was touched: the picture comes all the same.
      this.far.muted = true;
      this.far.play().catch(() => {});
      this.changed();
    }
  }

  unmuteFar() {
    this.far.muted = false;
    if (this.far.srcObject) this.far.play().catch(() => {});
  }

  // Gives camera and microphone to the far side. Without a camera there is sound, and without both one can listen.
  async speak() {
    this.wanted = true;
    const sound = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const picture = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: FACINGS[this.facing] };
    const devices = navigator.mediaDevices;
    let problem = null;
    if (!this.own) {
      try {
        this.own = await devices.getUserMedia({ audio: sound, video: picture });
      } catch {
        try {
          this.own = await devices.getUserMedia({ audio: sound });
          problem = "Your camera cannot be used: you are heard, but not seen.";
        } catch {
          problem = "Your microphone cannot be used. Allow it in the browser's settings for this page.";
        }
      }
    }
    await this.put();
    return problem;
  }

  async put() {
    if (!this.own || !this.connection) return;
    this.near.srcObject = this.own;
    const [sound] = this.own.getAudioTracks();
    const [picture] = this.own.getVideoTracks();
    if (sound) await this.audio.sender.replaceTrack(sound);
    if (picture) await this.video.sender.replaceTrack(picture);
    this.changed();
  }

  mute(muted) {
    this.own?.getAudioTracks().forEach((track) => { track.enabled = !muted; });
  }

  async turn() {
    this.facing = 1 - this.facing;
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: FACINGS[this.facing] } });
    const [picture] = stream.getVideoTracks();
    this.own?.getVideoTracks().forEach((track) => { this.own.removeTrack(track); track.stop(); });
    this.own?.addTrack(picture);
    this.near.classList.toggle("away", this.facing === 1);
    await this.put();
  }

  hasPicture() {
    return Boolean(this.connection) && this.far.videoWidth > 0 && this.far.srcObject !== null;
  }

  hasOwnPicture() {
    return Boolean(this.own && this.own.getVideoTracks().length);
  }

  // What the far side shows now, as a small JPEG; null without a picture.
  still() {
    if (!this.hasPicture()) return null;
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = Math.round((320 * this.far.videoHeight) / this.far.videoWidth);
    canvas.getContext("2d").drawImage(this.far, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL("image/jpeg", 0.7);
  }

  drop() {
    this.connection?.close();
    this.connection = null;
    this.far.srcObject = null;
  }

  close() {
    this.drop();
    this.wanted = false;
    this.own?.getTracks().forEach((track) => track.stop());
    this.own = null;
    this.near.srcObject = null;
    this.changed();
  }
}
