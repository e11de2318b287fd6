/** Privilege levels (IPMI 2.0, section 6.8). */
export const privilegeLevel = { callback: 1, user: 2, operator: 3, administrator: 4, oem: 5 } as const;
