// Loaded before Azurite.
const Module = require("node:module");

// A save of the data blocks every request, for longer the more there is. So the next save waits for
// at least 5 s and for 200 times as long as the last one took: saves take 0.5 % of the time.
const SAVE_INTERVAL_MS = 5_000;
const SAVE_PAUSE_RATIO = 200;

function saveSeldom(loki) {
  loki.prototype.autosaveEnable = function autosaveEnable() {
    this.autosave = true;
    let pauseUntilMs = 0;
    this.autosaveHandle = setInterval(() => {
      const beganMs = performance.now();
      if (beganMs < pauseUntilMs || !this.autosaveDirty()) return;
      this.saveDatabase();
      pauseUntilMs = beganMs + SAVE_PAUSE_RATIO * (performance.now() - beganMs);
    }, SAVE_INTERVAL_MS);
  };
}

const load = Module._load;
Module._load = (name, ...rest) => {
  // Azurite loads its telemetry SDK even where --disableTelemetry is given: most of the CPU of a start.
  if (name === "applicationinsights") return {};
  const loaded = load(name, ...rest);
  if (name === "lokijs" && !Object.hasOwn(loaded, "savesSeldom")) {
    Object.defineProperty(loaded, "savesSeldom", { value: true });
    saveSeldom(loaded);
  }
  return loaded;
};
