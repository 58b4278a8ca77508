/** Dates and numbers follow the language of the text around them. */
export const LOCALE = "en-GB";
