base:
  '*':
    - ignore_missing: True
    - gone
    - there
