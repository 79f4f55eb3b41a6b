import type { Random } from "./random.ts";

const firstNames = [
  "Anna",
  "Björn",
  "Chloé",
  "David",
  "Élodie",
  "Fatma",
  "Günther",
  "Hélène",
  "Ivan",
  "Jürgen",
  "Katarzyna",
  "Łukasz",
  "María",
  "Noah",
  "Olivia",
  "Päivi",
  "Quentin",
  "Renée",
  "Søren",
  "Tomáš",
  "Uğur",
  "Vera",
  "William",
  "Xenia",
  "Yuki",
  "Zoë",
] as const;

const lastNames = [
  "Müller",
  "Schröder",
  "Weiß",
  "García",
  "Nguyễn",
  "O'Brien",
  "Kowalski",
  "Lindström",
  "Jørgensen",
  "Çelik",
  "Dvořák",
  "Smith",
  "Johnson",
  "Rossi",
  "Fernández",
  "Häkkinen",
  "Grünewald",
  "Bäcker",
  "Dubois",
  "Tanaka",
  "Silva",
  "Novák",
] as const;

/** Generates a person's name, often with non-ASCII letters. */
export function nameFrom(random: Random): string {
  return `${random.pick(firstNames)} ${random.pick(lastNames)}`;
}
