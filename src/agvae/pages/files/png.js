"use strict";
// The samples of a PNG file of 8 or 16 bits, without palette and not interlaced, as the file has them: what a canvas
// gives back went through colour profiles, and has lost the colour of what is nearly transparent.
const readPng = async (address) => {
  const text = atob(address.slice(address.indexOf(",") + 1));
  const file = new Uint8Array(text.length), numbers = new DataView(file.buffer), parts = [];
  for (let at = 0; at < text.length; at++) file[at] = text.charCodeAt(at);
  for (let at = 8; at < file.length; ) {
    const length = numbers.getUint32(at);
    if (text.slice(at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const width = numbers.getUint32(16), height = numbers.getUint32(20);
  const bands = { 0: 1, 2: 3, 4: 2, 6: 4 }[file[25]], unit = (bands * file[24]) / 8, row = width * unit;
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const filtered = new Uint8Array(await new Response(stream).arrayBuffer());
  const samples = new Uint8Array(row * height);
  const nearest = (a, b, c) => {
    const p = a + b - c, da = Math.abs(p - a), db = Math.abs(p - b), dc = Math.abs(p - c);
    return da <= db && da <= dc ? a : db <= dc ? b : c;
  };
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    const filter = filtered[from++];
    for (let x = 0; x < row; x++, from++, to++) {
      const a = x >= unit ? samples[to - unit] : 0, b = y ? samples[to - row] : 0;
      const c = y && x >= unit ? samples[to - row - unit] : 0;
      const guess = filter === 0 ? 0 : filter === 1 ? a : filter === 2 ? b : filter === 3 ? (a + b) >> 1 : nearest(a, b, c);
      samples[to] = filtered[from] + guess;
    }
  }
  return { width, height, bands, unit, samples, numbers: new DataView(samples.buffer) };
};
