// What reads codes: the browser's own reader where it knows QR codes, else ours, in WebAssembly.

const FORMATS = ["qr_code", "data_matrix"];

/** Return a `BarcodeDetector`; raises when ours could not be loaded. */
export async function openDetector({ detector, wasm }) {
  const own = await ownFormats();
  if (own.includes("qr_code")) return new self.BarcodeDetector({ formats: own });
  const { BarcodeDetector, prepareZXingModule } = await import(detector);
  await prepareZXingModule({
    overrides: { locateFile: (name, prefix) => (name.endsWith(".wasm") ? wasm : prefix + name) },
    fireImmediately: true,
  });
  return new BarcodeDetector({ formats: FORMATS });
}

async function ownFormats() {
  // Chromium on Linux has none; some have one that reads nothing, and says so.
  const known = (await self.BarcodeDetector?.getSupportedFormats?.()) ?? [];
  return FORMATS.filter((format) => known.includes(format));
}
