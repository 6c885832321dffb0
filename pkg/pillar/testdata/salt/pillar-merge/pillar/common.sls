a: {x: 1, y: {deep: common, keep: 1}}
list: [c1, c2]
scalar: common
to_dict: text
