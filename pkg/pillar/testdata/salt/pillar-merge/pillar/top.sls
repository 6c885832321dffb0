base:
  '*':
    - common
    - app
  'case*':
    - glob
  'role:web':
    - match: grain
    - web
  'G@os:Debian and not casex*':
    - match: compound
    - comp
  'other*':
    - never
  'casemin,zzz':
    - match: list
    - lst
  'cas[ef].*':
    - match: pcre
    - rx
