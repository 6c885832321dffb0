users: {a: 1}
