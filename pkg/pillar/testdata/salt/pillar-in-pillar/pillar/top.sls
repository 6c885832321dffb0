base:
  '*':
    - {{ grains['role'] }}
    - users.*
