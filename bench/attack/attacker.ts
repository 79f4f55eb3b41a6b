// One attack, in a process of its own: attacker.ts NAME PORT. Ends with its parent.
import { attacks, startAttack, wakefulness } from "./attacks.ts";

const attack = [...attacks, wakefulness].find(({ name }) => name === process.argv[2]);
if (attack === undefined) throw new Error(`no such attack: ${process.argv[2]}`);
const count = startAttack(attack, Number(process.argv[3]));
process.on("message", () => process.send?.(count()));
process.on("disconnect", () => process.exit());
