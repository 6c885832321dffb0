base:
  '*': [gone, there]
