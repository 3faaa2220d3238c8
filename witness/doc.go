// Package witness says what each witness of a transfer says alone: one lane per witness, its evidence summed up, on which side it stands, and which of its
// evidence is missing, with what would bring it.
//
//	Transfer with evidence ┐
//	Watch (how each stood) ┴─▶ Lanes ──▶ why at the terminal, the page, the API
//
// It promises: a lane says nothing that its evidence does not hold; what a witness alone would say is judged by the same rules as all together (package join). It
// is pure, and leaves to others which witnesses there were, and how lanes are drawn.
package witness
