// What the fuzzers of the addons draw from: numbers that repeat with their seed, and numbers that nobody expects.
'use strict';

function random(seed) {
  let state = Number(seed) | 0;
  const bits = () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const below = (n) => bits() % n;
  const pick = (list) => list[below(list.length)];
  return { below, pick };
}

const oddNumbers = [
  NaN,
  Infinity,
  -Infinity,
  -1,
  0,
  -0,
  0.5,
  1,
  2,
  3,
  8,
  9,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  1e300,
  -1e300,
  5e-324,
];

module.exports = { random, oddNumbers };
