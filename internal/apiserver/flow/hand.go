package flow

// maxHand bounds the queues that one flow may use.
const maxHand = 32

// deal gives the flow of that hash its hand: size different queues out of deck.
// Two flows rarely have the same hand, so a flow that fills all of its queues
// leaves nearly every other flow at least one (shuffle sharding). The hand is in
// ascending order.
func deal(hash uint64, deck, size int, hand *[maxHand]int) []int {
	size = min(size, deck, maxHand)
	for i := range size {
		left := uint64(deck - i)
		card := int(hash % left)
		hash /= left
		// card counts those that are left: step over the ones that were dealt.
		at := 0
		for at < i && hand[at] <= card {
			card++
			at++
		}
		copy(hand[at+1:i+1], hand[at:i])
		hand[at] = card
	}
	return hand[:size]
}
