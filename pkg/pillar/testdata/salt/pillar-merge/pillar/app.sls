include:
  - inc
  - inc2:
      key: nested
a: {y: {deep: app}}
list: [a1]
scalar: app
