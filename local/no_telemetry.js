// Azurite loads its telemetry SDK even where --disableTelemetry is given: most of the CPU of a start.
const Module = require("node:module");
const load = Module._load;
Module._load = (name, ...rest) => (name === "applicationinsights" ? {} : load(name, ...rest));
