included: 1
scalar: inc
