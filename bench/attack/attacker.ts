// One attack in a process of its own: attacker.ts NAME PORT. Sends `attacking` to its parent when all concurrent connections
// are open, and the number of connections on request. Ends with its parent.
import { attacks, startAttack, keepAwake } from "./attacks.ts";

const attack = [...attacks, keepAwake].find(({ name }) => name === process.argv[2]);
if (attack === undefined) throw new Error(`no such attack: ${process.argv[2]}`);
const count = startAttack(attack, Number(process.argv[3]));
process.on("message", () => process.send?.(count()));
const check = setInterval(() => {
  if (count() < attack.connections) return;
  clearInterval(check);
  process.send?.("attacking");
}, 10);
process.on("disconnect", () => process.exit());
