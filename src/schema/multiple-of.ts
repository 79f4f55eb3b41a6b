/**
 * Reports whether a number is a multiple of another one, by their decimal digits. By division of doubles, as Ajv does
 * it, 19.99 would be no multiple of 0.01.
 */
export function isMultipleOf(value: number, divisor: number): boolean {
  if (!Number.isFinite(value) || !Number.isFinite(divisor) || divisor === 0) return false;
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0;
  const [digits, exponent] = decimal(value);
  const [divisorDigits, divisorExponent] = decimal(divisor);
  const common = Math.min(exponent, divisorExponent);
  return (digits * power(exponent - common)) % (divisorDigits * power(divisorExponent - common)) === 0n;
}

/** Returns a number as an integer and a power of ten. */
function decimal(value: number): [digits: bigint, exponent: number] {
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  return [BigInt(whole + fraction), Number(exponent) - fraction.length];
}

function power(exponent: number): bigint {
  return 10n ** BigInt(exponent);
}
