import { array, assert, nat, option, property } from "fast-check";
import { expect, test } from "vitest";
import { LinkedList, type ListItem } from "../src/linked-list.ts";

test("a linked list holds what was added and not removed, in order of addition", () => {
  assert(
    property(array(option(nat(20), { nil: undefined })), (steps) => {
      const list = new LinkedList<number>();
      const all: ListItem<number>[] = [];
      let expected: ListItem<number>[] = [];
      steps.forEach((remove, number) => {
        const removed = remove === undefined ? undefined : all[remove];
        if (removed === undefined) {
          const added = list.add(number);
          all.push(added);
          expected.push(added);
        } else {
          // A second removal does nothing.
          list.remove(removed);
          expected = expected.filter((item) => item !== removed);
        }
        expect(list.items()).toEqual(expected);
        expect(list.size).toBe(expected.length);
        expect(list.first).toBe(expected[0]);
        for (const item of all) expect(list.has(item)).toBe(expected.includes(item));
      });
    }),
  );
});

test("a removed item of a linked list refers to no other one, so that it keeps none of them in memory", () => {
  const list = new LinkedList<string>();
  const [first, second, third] = ["a", "b", "c"].map((value) => list.add(value));
  list.remove(second!);
  expect(second).toMatchObject({ value: "b", before: undefined, after: undefined });
  expect(list.items()).toEqual([first, third]);
});
