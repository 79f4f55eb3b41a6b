// One attack, in a process of its own: attacker.ts NAME PORT. Tells its parent `attacking` once it has made as many
// connections as it has at a time, and their number when asked. Ends with its parent.
import { attacks, startAttack, wakefulness } from "./attacks.ts";

const attack = [...attacks, wakefulness].find(({ name }) => name === process.argv[2]);
if (attack === undefined) throw new Error(`no such attack: ${process.argv[2]}`);
const count = startAttack(attack, Number(process.argv[3]));
process.on("message", () => process.send?.(count()));
const check = setInterval(() => {
  if (count() < attack.connections) return;
  clearInterval(check);
  process.send?.("attacking");
}, 10);
process.on("disconnect", () => process.exit());
