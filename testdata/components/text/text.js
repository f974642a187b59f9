// The tools of text.wit. Built into a component by scripts/build-components.sh.
export const text = {
  shout(text, times) {
    return text.toUpperCase() + "!".repeat(times);
  },

  parsePoint(text) {
    const [x, y] = text.split(",").map(Number);
    if (Number.isFinite(x) && Number.isFinite(y)) {
      return { x, y };
    }
    throw `not a point: ${text}`;
  },
};
