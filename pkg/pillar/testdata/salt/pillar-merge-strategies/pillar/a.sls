l: [1, 2]
d: {l: [x], only_a: 1}
