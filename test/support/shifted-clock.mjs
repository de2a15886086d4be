// For `node --import`: the process's clock jumps by each of PROTOLINE_TEST_JUMPS (milliseconds from the true time, by commas) in
// turn, one with each SIGUSR2. What measures by `performance` goes on, as it does where a machine's clock is set.
const jumps = process.env.PROTOLINE_TEST_JUMPS.split(",").map(Number);
let shift = 0;
process.on("SIGUSR2", () => {
  shift = jumps.shift() ?? 0;
});
const now = () => Real.now() + shift;
const Real = globalThis.Date;
globalThis.Date = new Proxy(Real, {
  construct: (target, args) => Reflect.construct(target, args.length === 0 ? [now()] : args),
  apply: () => new Real(now()).toString(),
  get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
});
